"""What calls along the description found out so far: a link tells of one answer, most requests need several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

VERSION: Final = "release_candidate_version"
# What each of these makes may have any name; elsewhere a name that was never heard of ends in a 404.
# Only the deployment that a workflow was to be started for has a run.
_BY_THEIR_IDS: Final = {"deployment_id": "triggered_id", "release_cut_id": "release_cut_id"}
MADE_BY: Final = {"putProject": "project_name", "putEnvironment": "env_name", "cutRelease": VERSION}


class Memory:
    """The names that were heard of, and the newest of each kind in each project."""

    def __init__(self, project: str, known: Mapping[str, str]) -> None:
        self._project = project
        self._newest: dict[str, dict[str, str]] = {}
        self._heard: set[object] = set()
        self.hear(project, **known)

    def hear(self, project: str, **names: str) -> None:
        """These names are there, in this project."""
        newest = self._newest.setdefault(project, {})
        self._heard |= {project, *((project, name) for name in names.values())}
        newest |= names

    def learn(self, response: Response, case: Case[Any]) -> None:
        """Remember what a success was about."""
        names = dict(case.path_parameters or {})
        project = names.pop("project_name", None)
        if response.status_code not in (200, 201) or project is None:
            return
        self._heard.add(response.headers.get("etag", [None])[0])
        answer: Any = response.json()
        if isinstance(answer, dict):
            names |= {VERSION: answer.get(VERSION), "deployment_id": answer.get("id")}
            names |= {"release_cut_id": answer.get("build_id")}
        self.hear(project, **{name: value for name, value in names.items() if isinstance(value, str)})

    def lead(self, case: Case[Any]) -> None:
        """Put names that are known where well-formed ones were made up; leave alone what is meant to be wrong."""
        if _is_negative(case, ParameterLocation.PATH):
            return
        made = MADE_BY.get(case.operation.definition.raw["operationId"])
        path = case.path_parameters
        if made != "project_name" and path.get("project_name") not in self._heard and "project_name" in path:
            path["project_name"] = self._project
        project = path.get("project_name", self._project)
        self._lead(path, project, {name: name for name in path if name not in ("project_name", made)})
        if not _is_negative(case, ParameterLocation.HEADER) and case.headers.get("If-Match") not in self._heard:
            case.headers.pop("If-Match", None)
        if isinstance(case.body, dict) and not _is_negative(case, ParameterLocation.BODY):
            self._lead(case.body, project, {VERSION: VERSION, "to": VERSION, "id": "deployment_id"} | _BY_THEIR_IDS)

    def _lead(self, names: dict[str, Any], project: str, kinds: Mapping[str, str]) -> None:
        newest = self._newest.get(project, {})
        for name, kind in kinds.items():
            told = names.get(name)
            if isinstance(told, str) and (project, told) not in self._heard and kind in newest:
                names[name] = newest[kind]


def _is_negative(case: Case[Any], location: ParameterLocation) -> bool:
    return case.meta is not None and case.meta.is_negative_at(location)

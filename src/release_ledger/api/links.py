"""Where a caller can go from an answer: OpenAPI links, from what creates or lists something to what uses it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

Parameters = dict[str, str]
Link = tuple[str, Parameters, Parameters]

_PROJECT: Final = {"project_name": "$request.path.project_name"}
_ENVIRONMENT: Final = _PROJECT | {"env_name": "$request.path.env_name"}
_RELEASE: Final = _PROJECT | {"release_candidate_version": "$response.body#/release_candidate_version"}
_FIRST_PROJECT: Final = {"project_name": "$response.body#/0/name"}
_FIRST_ENVIRONMENT: Final = _PROJECT | {"env_name": "$response.body#/0/name"}
_FIRST_RELEASE: Final = _PROJECT | {"release_candidate_version": "$response.body#/0/release_candidate_version"}
_UNMOVED: Final = {"header.If-Match": "$response.header.ETag"}
_THE_VERSION: Final = {"release_candidate_version": "$response.body#/release_candidate_version"}
_FIRST_VERSION: Final = {"release_candidate_version": "$response.body#/0/release_candidate_version"}


def _plain(parameters: Parameters, *targets: str) -> list[Link]:
    return [(target, parameters, {}) for target in targets]


_FROM_PROJECT: Final = [
    *_plain(_PROJECT, "getProject", "putEnvironment", "listEnvironments", "listReleases", "getProjectHistory"),
    ("cutRelease", _PROJECT, {"repo": "$response.body#/repo"}),
]
_FROM_RELEASE: Final = [
    *_plain(_RELEASE, "getRelease"),
    *_plain(_PROJECT | {"commit": "$response.body#/commit"}, "getExposure"),
    *_plain(_PROJECT, "listReleases"),
    ("createDeployment", _PROJECT, _THE_VERSION),
    ("reportStatus", _PROJECT, _THE_VERSION),
    *_plain(_RELEASE, "reportBuild"),
    ("syncBuild", {}, {"release_cut_id": "$response.body#/build_id"}),
]
_FROM_ENVIRONMENT: Final = [
    *_plain(_ENVIRONMENT, "getEnvironment", "freezeEnvironment", "createDeployment", "listDeployments"),
    *_plain(_ENVIRONMENT, "previewRollback", "rollBack", "listRunningPeriods", "getHistory"),
    ("putEnvironment", _ENVIRONMENT | _UNMOVED, {}),
]
_FROM_DEPLOYMENT: Final = [
    ("getDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/id"}, {}),
    ("reportStatus", _ENVIRONMENT, _THE_VERSION | {"id": "$response.body#/id"}),
    ("cancelDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/id"}, {}),
    ("syncDeploy", {}, {"deployment_id": "$response.body#/id"}),
    ("createDeployment", _ENVIRONMENT, _THE_VERSION),
    *_plain(_RELEASE, "getRelease"),
    *_plain(_ENVIRONMENT, "listDeployments", "getEnvironment", "previewRollback", "rollBack"),
]

LINKS: Final[dict[str, list[Link]]] = {
    "listProjects": [
        *_plain(_FIRST_PROJECT, "getProject", "putEnvironment", "listEnvironments", "listReleases"),
        ("cutRelease", _FIRST_PROJECT, {"repo": "$response.body#/0/repo"}),
    ],
    "getProject": [*_FROM_PROJECT, ("putProject", _PROJECT | _UNMOVED, {})],
    "putProject": _FROM_PROJECT,
    "listEnvironments": _plain(_FIRST_ENVIRONMENT, "getEnvironment", "createDeployment", "listDeployments")
    + _plain(_FIRST_ENVIRONMENT, "previewRollback", "freezeEnvironment"),
    "getEnvironment": [
        *_FROM_ENVIRONMENT,
        ("getDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/latest/id"}, {}),
    ],
    "putEnvironment": _FROM_ENVIRONMENT,
    "freezeEnvironment": _plain(_ENVIRONMENT, "unfreezeEnvironment", "getEnvironment"),
    "unfreezeEnvironment": _plain(_ENVIRONMENT, "getEnvironment", "createDeployment"),
    "listReleases": [*_plain(_FIRST_RELEASE, "getRelease"), ("createDeployment", _PROJECT, _FIRST_VERSION)],
    "getRelease": _FROM_RELEASE,
    "cutRelease": _FROM_RELEASE,
    "listDeployments": [
        ("getDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/0/id"}, {}),
        ("reportStatus", _ENVIRONMENT, _FIRST_VERSION | {"id": "$response.body#/0/id"}),
        *_plain(_ENVIRONMENT, "rollBack"),
    ],
    "getDeployment": _FROM_DEPLOYMENT,
    "createDeployment": _FROM_DEPLOYMENT,
    "reportStatus": _FROM_DEPLOYMENT,
    "cancelDeployment": _FROM_DEPLOYMENT,
    "syncDeploy": [("syncDeploy", {}, {"deployment_id": "$response.body#/id"})],
    "syncBuild": [("syncBuild", {}, {"release_cut_id": "$response.body#/build_id"})],
    "reportBuild": _FROM_RELEASE,
    "listRunningPeriods": [
        ("getDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/0/deployment_id"}, {}),
        *_plain(_PROJECT | {"commit": "$response.body#/0/commit"}, "getExposure"),
    ],
    "getHistory": [
        ("getHistory", _ENVIRONMENT | {"after": "$response.body#/0/version"}, {}),
        ("getEnvironment", _ENVIRONMENT | {"as_of_version": "$response.body#/0/version"}, {}),
        ("listDeployments", _ENVIRONMENT | {"as_of_version": "$response.body#/0/version"}, {}),
        ("previewRollback", _ENVIRONMENT | {"as_of_version": "$response.body#/0/version"}, {}),
        ("compareMoments", _ENVIRONMENT | {"from": "$response.body#/0/recorded_at"}, {}),
    ],
    "getProjectHistory": [("getProjectHistory", _PROJECT | {"after": "$response.body#/0/version"}, {})],
    "compareMoments": [("getDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/requested/0/id"}, {})],
    "getExposure": _plain(_PROJECT | {"env_name": "$response.body#/environments/0/name"}, "listRunningPeriods"),
    "previewRollback": [
        ("rollBack", _ENVIRONMENT, {"to": "$response.body#/target"}),
        ("getDeployment", _ENVIRONMENT | {"deployment_id": "$response.body#/considered/0/id"}, {}),
    ],
    "rollBack": _FROM_DEPLOYMENT,
}


def links_of(operation_id: str) -> dict[str, Any]:
    """References to the links of an operation's successes, named by where they lead."""
    links = LINKS.get(operation_id, [])
    return {link[0]: {"$ref": f"#/components/links/{name}"} for link in links for name in [_NAMES[repr(link)]]}


def all_links() -> dict[str, Any]:
    """Every link, by the name that the references use."""
    return {_NAMES[repr(link)]: _described(*link) for links in LINKS.values() for link in links}


def _names() -> dict[str, str]:
    """A name for each link, after its target; those to one target are told apart by a number."""
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for link in [link for links in LINKS.values() for link in links]:
        if repr(link) not in names:
            taken[link[0]] += 1
            names[repr(link)] = f"{link[0]}-{taken[link[0]]}"
    return names


def _described(target: str, parameters: Parameters, body: Parameters) -> dict[str, Any]:
    link: dict[str, Any] = {"operationId": target, "parameters": parameters}
    if not body:
        return link
    return link | {"requestBody": body, "description": "These keys of the body; the others are the caller's."}


_NAMES: Final = _names()

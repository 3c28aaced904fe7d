"""The workflow files for GitHub Actions: GitHub takes them, they know their inputs, their calls do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import yaml

from release_ledger.api import create_app
from release_ledger.settings import Settings
from release_ledger.workflows import PREFIX

from .support.server import LiveServer

ROOT: Final = Path(__file__).parent.parent
FILES: Final = {path.stem: path for path in sorted((ROOT / "examples" / "github-actions").glob("*.yml"))}
COMMIT: Final = "a3eb250f996bf5e12376ec88622c4ccaabf20ea8"
OWN: Final = {
    "build": ("release_cut_id", "release_cut_commit_hash", "release_candidate_version"),
    "deploy": ("deployment_id", "release_cut_commit_hash", "release_candidate_version"),
}
GITHUB: Final = {"kind": "github", "ref": "main"}


def workflow(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(FILES[name].read_text())
    return found


def calls(name: str) -> dict[str, str]:
    """The steps that call the ledger."""
    (job,) = workflow(name)["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "curl" in step.get("run", "")}


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    """GitHub's schema of workflow files, as check-jsonschema carries it."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        *map(str, paths),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_github_takes_them(tmp_path: Path) -> None:
    """They fit the schema; a file with a mistake does not."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(FILES["deploy"].read_text().replace("runs-on:", "run-on:"))

    assert set(FILES) == {"build", "ci", "deploy"}
    assert check(*FILES.values()).returncode == 0
    assert check(wrong).returncode == 1


@pytest.mark.parametrize("name", FILES)
def test_the_readme_shows_them_as_they_are(name: str) -> None:
    """Complete, to be copied."""
    assert f"```yaml\n{FILES[name].read_text()}```\n" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", OWN)
def test_they_declare_what_they_are_sent(name: str) -> None:
    """Neither an input more (GitHub would refuse the start) nor one less; and the run's name has the id in it."""
    read = workflow(name)
    inputs = read[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 reads `on` as true
    used = set(re.findall(r"inputs\.(\w+)", FILES[name].read_text()))

    expected = {f"{PREFIX}{each}" for each in OWN[name]} | ({"environment"} if name == "deploy" else set())
    assert set(inputs) == used == expected
    assert f"${{{{ inputs.{PREFIX}{OWN[name][0]} }}}}" in read["run-name"]


@pytest.mark.parametrize("name", FILES)
def test_every_call_is_of_an_endpoint_that_there_is(name: str, tmp_path: Path) -> None:
    """Method, path and keys of each curl are in the API's description."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'ledger.db'}"))
    described: Any = app.test_client().get("/openapi.json").get_json()
    known = {re.sub(r"{\w+}", "*", path): operations for path, operations in described["paths"].items()}

    for script in calls(name).values():
        for call in re.findall(r"curl (?:\\\n|[^\n])*", script):
            method = (re.search(r"-X (\w+)", call) or ["", "GET"])[1].lower()
            address = str((re.search(r'"\$(?:API|LEDGER)[^"]*"', call) or [""])[0]).strip('"')
            path = address.replace("$LEDGER", "").replace("$API", "/api/releases/shop").replace("/shop", "/*")
            operation = known[re.sub(r"/environments/[^/]+", "/environments/*", re.sub(r"\$\w+", "*", path))][method]
            sent = set(re.findall(r'\\"(\w+)\\":', call))
            assert bool(sent) == (method != "get")
            if sent:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                assert sent <= set(described["components"]["schemas"][reference.rpartition("/")[2]]["properties"])


def run(server: LiveServer, script: str, **given: str) -> str:
    """A step, as a runner would run it."""
    environ = os.environ | {"LEDGER": server.url, "TOKEN": server.token or ""} | given
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_calls_do_what_they_say(live_server: LiveServer) -> None:
    """From the cut to the deployment, each step after the other against a real server."""
    api = f"{live_server.url}/api/releases/shop"
    authorised = {"Authorization": f"Bearer {live_server.token}"}
    settings = {"repo": "acme/shop", "build_workflow": GITHUB | {"workflow": "build.yml"}}
    deploys = {"deploy_workflow": GITHUB | {"workflow": "deploy.yml", "parameters": {"environment": "${environment}"}}}
    for address, body in ((api, settings), (f"{api}/environments/staging", deploys)):
        assert requests.put(address, json=body, headers=authorised, timeout=10).status_code == 201
    ci, build, deploy = (list(calls(name).values()) for name in ("ci", "build", "deploy"))
    of_run = {"API": api, "CANDIDATE": "1.4.0-rc7", "GITHUB_RUN_ID": "17", "WISH": "17-1"}
    of_run |= {"REPO": "acme/shop", "COMMIT": COMMIT, "RUN_URL": "https://github.com/acme/shop/actions/runs/17"}

    run(live_server, ci[0], **of_run)
    candidate = requests.get(f"{api}/releases/1.4.0-rc7", headers=authorised, timeout=10).json()
    run(live_server, build[0], CUT_ID=candidate["build_id"], **of_run)
    run(live_server, build[1], STATUS="ready", **of_run)
    run(live_server, ci[1], **of_run)
    run(live_server, ci[2], **of_run)
    (deployment,) = requests.get(f"{api}/environments/staging/deployments", headers=authorised, timeout=10).json()
    of_run |= {"DEPLOYMENT": deployment["id"], "ENVIRONMENT": "staging", "STATUS": "success"}
    of_run |= {"GITHUB_RUN_ID": "18"}  # a run is of one build or deployment
    run(live_server, deploy[0], **of_run)
    run(live_server, deploy[1], **of_run)

    shown = requests.get(f"{api}/environments/staging", headers=authorised, timeout=10).json()
    assert shown["running"]["id"] == deployment["id"]
    assert shown["running"]["external_url"] == of_run["RUN_URL"]

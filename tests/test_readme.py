"""The README is run: every command in it, against a real server, in the order in which a newcomer would type them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import requests

from .support.server import LiveServer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "projections" / "README.md"]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(script: str, server: LiveServer, **more: str) -> subprocess.CompletedProcess[str]:
    """A shell in the checkout, with the ledger's address in the place of the one in the text."""
    environ = (
        os.environ | {"TOKEN": server.token or "", "RELEASE_LEDGER_DATABASE_URL": server.database_url or ""} | more
    )
    script = script.replace("http://127.0.0.1:8000", server.url)
    script = script.replace("replay_git_history.py", f"replay_git_history.py --url {server.url} --limit 3")
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_of_the_readme_works_in_its_order(live_server: LiveServer) -> None:
    """A newcomer who types what the README shows gets what it says."""
    scripts = blocks("sh")
    assert len(scripts) >= 7

    for script in scripts:
        done = run(script, live_server)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"

    authorised = {"Authorization": f"Bearer {live_server.token}"}
    production = f"{live_server.url}/api/releases/shop/environments/production"
    assert requests.get(production, headers=authorised, timeout=10).json()["running"]["release_version"] == "1.4.0"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_path_of_the_documentation_leads_somewhere(document: Path) -> None:
    """No document sends its reader to a file that is not there."""
    text = document.read_text()

    linked = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in linked if not (document.parent / link).exists()]
    named = re.findall(r"`((?:src|docs|tests|projections|benchmarks|examples)/[\w./-]*)`", text)
    missing += [path for path in named if not (ROOT / path).exists()]

    assert missing == []

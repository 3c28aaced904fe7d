"""The page `/docs`, in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .support.server import LiveServer

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium; .ci/run installs it where it may")
def test_the_page_shows_every_endpoint_without_any_other_host(live_server: LiveServer, tmp_path: Path) -> None:
    """Somebody who opens /docs on a machine without a network sees the whole API, ready to try."""
    assert CHROMIUM is not None

    shown = subprocess.run(
        [
            CHROMIUM,
            *QUIET,
            f"--user-data-dir={tmp_path}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--virtual-time-budget=10000",
            "--dump-dom",
            f"{live_server.url}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout

    for summary in ("Deploy a release candidate.", "Lift the freeze, if there is one.", "Authorize"):
        assert summary in shown
    assert shown.count('class="opblock-summary-path"') >= 16

"""The kinds of workflows that there are. Whoever adds one adds a line here."""

from __future__ import annotations

from typing import Final

from .github_actions import GitHubActions
from .kinds import Kind
from .signed_http import SignedHttp

KINDS: Final[dict[str, type[Kind]]] = {
    kind.name: kind
    for kind in (
        GitHubActions,
        SignedHttp,
    )
}

"""An event-sourced ledger of releases: what ran where, when, who did it and why."""

from importlib.metadata import version

__version__ = version("release-ledger")

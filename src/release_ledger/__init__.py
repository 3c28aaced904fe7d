"""Release Ledger: an event-sourced ledger of releases. What ran where, since when, by whom and why."""

from importlib.metadata import version

__version__ = version("release-ledger")

"""The one way in which this software calls out over HTTP: bounded in time and size, and never to a private address."""

from __future__ import annotations

from .addresses import origin_of
from .answers import Answer, Trouble
from .calls import Outgoing
from .pauses import pause_s

__all__ = ["Answer", "Outgoing", "Trouble", "origin_of", "pause_s"]

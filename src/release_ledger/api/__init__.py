"""The HTTP surface: Flask handlers that turn each call into a command or a question of the ledger."""

from .app import create_app

__all__ = ["create_app"]

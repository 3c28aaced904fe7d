"""The engine of projections: pure folds from events to rows, run live, as of a moment, for verification, or to mend.

A read model is one file in `projections/`: a table and a fold. See `projections/README.md`.
"""

from ..store import canonical
from ..store.schema import own_columns
from .folded import FoldedSource, fold_streams
from .installed import installed, left_out, listed, relevant
from .kept import StillFolding, fold_now, kept_beside
from .live import fold_live
from .mend import mend
from .projection import Projection, Rows, RowValues, on, read_model
from .streams import ACCESS, environment_stream, kind_of, project_stream
from .verify import Difference, verify

__all__ = [
    "ACCESS",
    "Difference",
    "FoldedSource",
    "Projection",
    "RowValues",
    "Rows",
    "StillFolding",
    "canonical",
    "environment_stream",
    "fold_live",
    "fold_now",
    "fold_streams",
    "installed",
    "kept_beside",
    "kind_of",
    "left_out",
    "listed",
    "mend",
    "on",
    "own_columns",
    "project_stream",
    "read_model",
    "relevant",
    "verify",
]

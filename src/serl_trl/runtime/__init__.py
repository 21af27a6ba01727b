"""Files, random state, several processes: what any room may use."""

from .distributed import run_on_all_ranks, share_of, shared_failure
from .files import Rows, column_of, field_of, imported_object, read_rows, written_whole
from .random_state import isolated_random_state
from .temporarily import model_mode, temporarily_set


__all__ = [
    "Rows",
    "column_of",
    "field_of",
    "imported_object",
    "isolated_random_state",
    "model_mode",
    "read_rows",
    "run_on_all_ranks",
    "share_of",
    "shared_failure",
    "temporarily_set",
    "written_whole",
]

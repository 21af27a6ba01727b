"""Files, random state, several processes: what any room may use."""

from .distributed import share_of, shared_failure, together
from .files import Rows, column_of, field_of, imported_object, read_rows, written_whole
from .random_state import isolated_random_state
from .temporarily import model_mode, swapped


__all__ = [
    "Rows",
    "column_of",
    "field_of",
    "imported_object",
    "isolated_random_state",
    "model_mode",
    "read_rows",
    "share_of",
    "shared_failure",
    "swapped",
    "together",
    "written_whole",
]

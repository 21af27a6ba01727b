"""Few-shot requests -> replies -> filters -> queue; novelty, drift."""

from .dataset import MAX_REPLIES_PER_INSTRUCTION, SelfInstructDataset
from .drift import MAX_FRAC_FAR, drift_warning
from .errors import TooFewInstructionsError
from .filters import BANNED_WORDS, InstructionFilter, KeywordFilter, LengthFilter, check_filters
from .instruction_log import read_instructions
from .novelty_filters import NoveltyFilter, SemanticNoveltyFilter
from .novelty_index import NoveltyIndex
from .prompts import few_shot_prompt
from .tokenizers import TOKENIZERS


__all__ = [
    "BANNED_WORDS",
    "MAX_FRAC_FAR",
    "MAX_REPLIES_PER_INSTRUCTION",
    "TOKENIZERS",
    "InstructionFilter",
    "KeywordFilter",
    "LengthFilter",
    "NoveltyFilter",
    "NoveltyIndex",
    "SelfInstructDataset",
    "SemanticNoveltyFilter",
    "TooFewInstructionsError",
    "check_filters",
    "drift_warning",
    "few_shot_prompt",
    "read_instructions",
]

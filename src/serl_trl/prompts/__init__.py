"""What the policy is asked: prompts out of files and datasets, templates; prompts -> tokens, and how text is drawn and ends."""

from .batch_positions import depend_on_batch
from .decoding import Decoding, Generated, Sampling, end_tokens, writing
from .equal_rows import first_come
from .generation import group_generation
from .length_batches import batches_by_length
from .read_prompts import PROMPT_FIELDS, instruction_text, prompts_of, prompts_of_rows, shown
from .row_draws import row_seed, row_uniforms
from .template import PromptTemplate, put_to_policy, shared_lead


__all__ = [
    "PROMPT_FIELDS",
    "Decoding",
    "Generated",
    "PromptTemplate",
    "Sampling",
    "batches_by_length",
    "depend_on_batch",
    "end_tokens",
    "first_come",
    "group_generation",
    "instruction_text",
    "prompts_of",
    "prompts_of_rows",
    "put_to_policy",
    "row_seed",
    "row_uniforms",
    "shared_lead",
    "shown",
    "writing",
]

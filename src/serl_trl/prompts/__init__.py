"""What the policy is asked: prompts out of files and datasets, templates; prompts -> tokens, and how text is drawn and ends."""

from .decoding import Decoding, Generated, Sampling, end_tokens, writing
from .generation import group_generation
from .read_prompts import PROMPT_FIELDS, instruction_text, prompts_of, prompts_of_rows, shown
from .template import PromptTemplate, put_to_policy, shared_lead


__all__ = [
    "PROMPT_FIELDS",
    "Decoding",
    "Generated",
    "PromptTemplate",
    "Sampling",
    "end_tokens",
    "group_generation",
    "instruction_text",
    "prompts_of",
    "prompts_of_rows",
    "put_to_policy",
    "shared_lead",
    "shown",
    "writing",
]

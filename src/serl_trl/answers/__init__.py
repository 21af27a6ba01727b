"""A completion's text -> its final answer -> classes of equal answers; no torch, no TRL inside."""

from .answer_types import (
    ANSWER_TYPES,
    AnswerType,
    answer_classes,
    answer_kind,
    extract_answer,
    find_answer,
    is_equivalent,
)
from .blanks import says_nothing
from .clean_response import response_of
from .compare import start_algebra
from .normalize import MAX_ANSWER_CHARS
from .thoughts import is_planning, said_in


__all__ = [
    "ANSWER_TYPES",
    "MAX_ANSWER_CHARS",
    "AnswerType",
    "answer_classes",
    "answer_kind",
    "extract_answer",
    "find_answer",
    "is_equivalent",
    "is_planning",
    "response_of",
    "said_in",
    "says_nothing",
    "start_algebra",
]

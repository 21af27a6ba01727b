"""Generate and score on test sets."""

from .completions_file import FiledRows
from .evaluate import EvaluationReport, evaluate, print_table
from .generators import Engine, TransformersEngine, transformers_engine, vllm_engine
from .test_sets import BENCHMARKS, PROMPT_FIELDS, Problems, load_problems


__all__ = [
    "BENCHMARKS",
    "PROMPT_FIELDS",
    "Engine",
    "EvaluationReport",
    "FiledRows",
    "Problems",
    "TransformersEngine",
    "evaluate",
    "load_problems",
    "print_table",
    "transformers_engine",
    "vllm_engine",
]

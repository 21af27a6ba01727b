"""Generate and score on test sets."""

from .completions_file import FiledRows
from .evaluate import EvaluationReport, evaluate, print_table
from .gain import Gain, gain, gains, print_gains
from .generators import Engine, TransformersEngine, transformers_engine, vllm_engine
from .test_sets import BENCHMARKS, PROMPT_FIELDS, Problems, load_problems


__all__ = [
    "BENCHMARKS",
    "PROMPT_FIELDS",
    "Engine",
    "EvaluationReport",
    "FiledRows",
    "Gain",
    "Problems",
    "TransformersEngine",
    "evaluate",
    "gain",
    "gains",
    "load_problems",
    "print_gains",
    "print_table",
    "transformers_engine",
    "vllm_engine",
]

"""The arguments of `serl-trl evaluate`; no PyTorch here, so that `--help` is quick."""

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from ..answers import ANSWER_TYPES
from .named_files import MODEL_ALIASES


TEST_SETS = ("math_500", "math_hard", "asdiv", "college_math", "tabmwp", "gsm8k", "svamp", "mmlu_pro")  # BENCHMARKS


@dataclass
class EvaluationArguments:
    """What is measured on what, and how."""

    models: list[str] = field(
        metadata={"help": f"Ids on the Hub, folders of models or adapters, or names: {', '.join(MODEL_ALIASES)}."}
    )
    datasets: list[str] = field(
        default_factory=list,
        metadata={
            "help": f"Test sets: {', '.join(TEST_SETS)}, NAME=FILE with the fields of that set, or a file. Default: "
            "held-out problems of the laboratory."
        },
    )
    output_dir: str = field(default="runs/evaluation", metadata={"help": "Folder of results and completions."})
    num_problems: int | None = field(
        default=None, metadata={"help": "Only the first so many of each set. Default: all (laboratory: 512)."}
    )
    num_samples: int = field(default=16, metadata={"help": "Samples of each problem; 0: greedy only."})
    temperature: float = field(default=1.0, metadata={"help": "Of the samples (paper: 1)."})
    top_p: float = field(default=0.95, metadata={"help": "Of the samples (paper: 0.95)."})
    max_new_tokens: int = field(default=1024, metadata={"help": "Longest completion (paper: 1024)."})
    batch_size: int = field(
        default=64, metadata={"help": "Completions generated at a time, by each process; with vLLM take thousands."}
    )
    answer_type: str = field(
        default="math",
        metadata={"help": "What the answers of a file are; named sets know.", "choices": list(ANSWER_TYPES)},
    )
    prompt_template: str | None = field(
        default=None,
        metadata={
            "help": "As for `serl-trl train`: YAML file with 'user', 'system', 'examples'. Default: the bare problem."
        },
    )
    chat_template_kwargs: dict | str | None = field(
        default=None,
        metadata={
            "help": "Arguments of the chat template as JSON, such as '{\"enable_thinking\": false}': those of the training."
        },
    )
    seed: int = field(default=0, metadata={"help": "Of the samples."})
    dtype: str | None = field(default=None, metadata={"help": "Of the weights: float32, bfloat16. Default: as saved."})
    use_vllm: bool = field(default=False, metadata={"help": "Whether vLLM generates, in a single process."})
    vllm_tensor_parallel_size: int = field(default=1, metadata={"help": "GPUs that vLLM spreads a model over."})
    vllm_gpu_memory_utilization: float = field(default=0.9, metadata={"help": "Share of a GPU that vLLM takes."})

    def __post_init__(self):
        with contextlib.suppress(ValueError, TypeError):
            self.chat_template_kwargs = json.loads(self.chat_template_kwargs)  # type: ignore[arg-type]
        if self.chat_template_kwargs is not None and not isinstance(self.chat_template_kwargs, dict):
            raise ValueError(
                f"--chat_template_kwargs {self.chat_template_kwargs} is no JSON object; give one such as "
                "'{\"enable_thinking\": false}'."
            )
        least = {"num_problems": 1, "num_samples": 0, "max_new_tokens": 1, "batch_size": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"--{name} is {value}; give {bound} or more.")
        if not self.temperature > 0:
            raise ValueError(
                f"--temperature is {self.temperature}; give more than 0, and --num_samples 0 for greedy only."
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"--top_p is {self.top_p}; give more than 0 and at most 1.")

    @property
    def template_kwargs(self) -> dict[str, Any]:
        """Arguments of the chat template."""
        return self.chat_template_kwargs if isinstance(self.chat_template_kwargs, dict) else {}

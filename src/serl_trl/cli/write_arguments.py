"""Our arguments of `serl-trl write`, besides the trainer's; no PyTorch here, so that `--help` is quick."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from trl import ScriptArguments

from ..answers import answer_kind
from .dataset_files import check_output_file
from .named_files import check_one_source
from .train_arguments import SeRLScriptArguments


def _as_in_training(name: str) -> Any:
    """A flag of `serl-trl train`, with its default and its help."""
    flag = SeRLScriptArguments.__dataclass_fields__[name]
    return field(default=flag.default, metadata=dict(flag.metadata))


@dataclass
class GenerationArguments(ScriptArguments):
    """Where prompts come from, what is written, and where it goes."""

    seed_file: str | None = _as_in_training("seed_file")
    num_seeds: int | None = _as_in_training("num_seeds")
    prompt_template: str | None = _as_in_training("prompt_template")
    answer_type: str = _as_in_training("answer_type")
    filters: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Further filters, each MODULE:NAME of an object with a name and a call; see docs/how-to.md."
        },
    )
    output_file: str = field(
        default="pseudo_labels.jsonl",
        metadata={"help": "The dataset: a .jsonl or a .parquet file, which must not exist."},
    )
    num_rounds: int = field(
        default=1,
        metadata={
            "help": "Rounds of num_instructions each; from the second on, problems of earlier rounds are shown too."
        },
    )
    all_rows: bool = field(
        default=False,
        metadata={"help": "Whether what was rejected is in the dataset too, with is_kept false and the reason."},
    )
    reward_funcs: ClassVar[tuple[str, ...]] = ("vote",)  # what load_seeds wants to know

    def __post_init__(self):
        check_one_source(self.seed_file, self.dataset_name)
        answer_kind(self.answer_type)  # raises if there is no such type
        check_output_file(self.output_file)
        if self.num_rounds < 1:
            raise ValueError(f"--num_rounds is {self.num_rounds}; write at least 1 round.")

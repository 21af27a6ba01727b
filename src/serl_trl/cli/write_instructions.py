"""Has a language model write problems and label them by majority vote, without training: a pseudo-labelled dataset.

    serl-trl write                                the built-in model, on a CPU
    accelerate launch -m serl_trl.cli write --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct \
        --seed_file prompts.jsonl --num_instructions 5000 --num_rounds 3 --output_file problems.parquet
    ... --min_vote_share 0.5 --max_vote_share 1 --push_to_hub me/pseudo-gsm8k

Settings come from flags and from a YAML file (`--config FILE`, with flags taking precedence). Without `--config` and
`--model_name_or_path` the file is recipes/configs/generate_tiny_cpu.yaml. A row has the problem (`text`), what the model
is asked (`prompt`), the label (`answer`) with its vote share (`share`), and where it comes from; docs/how-to.md lists all.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from datasets import Dataset
from trl import ModelConfig, ScriptArguments, TrlParser, get_quantization_config

from .. import MajorityVoteReward, SelfInstructDataset, SeRLConfig, SeRLTrainer
from ..answers import answer_kind
from ..instructions import TooFewInstructionsError, drift_warning
from ..rollouts import written_replies
from ..runtime import imported_object, written_whole
from ..trainer import checked_datasets
from ..types import Prompt, Verdict
from ..voting import Vote
from .train import SeRLScriptArguments
from .train_inputs import check_eval_strategy, load_model, load_seeds, load_template, load_tokenizer, source_of


DEFAULT_CONFIG = Path(__file__).parent / "configs" / "generate_tiny_cpu.yaml"
FORMATS = (".jsonl", ".parquet")


def _as_in_training(name: str) -> Any:
    """A flag of serl_math.py, with its default and its help."""
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
        if self.seed_file and self.dataset_name:
            raise ValueError(
                f"Both --seed_file {self.seed_file} and --dataset_name {self.dataset_name} are given; choose one."
            )
        answer_kind(self.answer_type)  # raises if there is no such type
        if Path(self.output_file).suffix not in FORMATS:
            raise ValueError(f"--output_file {self.output_file} must end in {' or '.join(FORMATS)}.")
        if Path(self.output_file).exists():
            raise ValueError(f"--output_file {self.output_file} exists; remove it, or choose another name.")
        if self.num_rounds < 1:
            raise ValueError(f"--num_rounds is {self.num_rounds}; write at least 1 round.")


@dataclass
class GenerationConfig(SeRLConfig):
    """[`SeRLConfig`] in which `push_to_hub` names a dataset, for there is no model to push."""

    push_to_hub: str | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "Dataset repository on the Hugging Face Hub, USER/NAME, to push to as well."}
    )

    def __post_init__(self):
        self.dataset_repository, self.push_to_hub = self.push_to_hub, None
        self.beta = 0.0  # no reference model
        super().__post_init__()


def set_up(script_args: Any, args: Any, model_args: ModelConfig) -> SeRLTrainer:
    """The trainer, of which only the generation is used; raises ValueError for whatever is wrong with the input."""
    filters = [imported_object(name, "--filters") for name in script_args.filters]
    folder = Path(script_args.output_file).parent
    args.output_dir = str(folder)
    check_eval_strategy(args)
    seeds = load_seeds(script_args, args)
    tokenizer = load_tokenizer(model_args, args)
    template = load_template(script_args.prompt_template, tokenizer)
    if not isinstance(seeds[0]["prompt"], str):
        template = None  # the prompts are messages already
    dataset = SelfInstructDataset.from_config(seeds, args, template, filters)
    source = source_of(model_args, args)["pretrained_model_name_or_path"]
    checked_datasets(dataset, None, args, source, tokenizer)
    return SeRLTrainer(
        load_model(model_args, args),
        reward_funcs=MajorityVoteReward(script_args.answer_type),
        args=args,
        train_dataset=dataset,
        processing_class=tokenizer,
        quantization_config=get_quantization_config(model_args),
    )


def write_and_label(trainer: SeRLTrainer, script_args: Any) -> Dataset:
    """Everything that was written, with its votes; each round goes on until it has num_instructions in the band."""
    dataset, feed, say = trainer.train_dataset, trainer.feed, trainer.accelerator.print
    assert feed is not None  # the dataset is one to be written

    def judge(prompts: list[Prompt], seed: int) -> list[tuple[Vote, Verdict]]:
        say(f"{len(dataset.written)} written; taking votes on {len(prompts)} that passed the filters ...")
        unanswered = Verdict(False, "no_answer", 0.0)
        return [(vote, unanswered if vote.answer is None else verdict) for vote, verdict in feed.judge(prompts, seed)]

    for iteration in range(script_args.num_rounds):
        dataset.start(iteration)
        metrics = dataset.extend(
            lambda prompts, seed: written_replies(trainer, prompts, seed),
            len(dataset),
            len(dataset),
            trainer.args.generation_batch_size,
            judge=judge,
        )
        rejected = Counter(
            f"{name} ({verdict.reason})"
            for instruction in dataset.written
            for name, verdict in instruction.verdicts.items()
            if not verdict.kept
        )
        listed = ", ".join(f"{name} {count}" for name, count in rejected.most_common()) or "none"
        say(f"Round {iteration + 1}: {len(dataset.written)} written, {len(dataset.queue)} kept. Rejected: {listed}.")
        if warning := drift_warning(metrics):
            say(warning)
    return dataset.to_dataset()


def store(dataset: Dataset, script_args: Any) -> Dataset:
    """Writes the rows that are wanted to the file, all at once or not at all."""
    if not script_args.all_rows:
        is_kept = dataset["is_kept"]
        dataset = dataset.select([i for i in range(len(dataset)) if is_kept[i]])
    path = Path(script_args.output_file)
    with written_whole(path) as temporary:
        if path.suffix == ".parquet":
            dataset.to_parquet(temporary)
        else:
            dataset.to_json(temporary, force_ascii=False)
    return dataset


def push(dataset: Dataset, repository: str, path: str) -> None:
    """Pushes the dataset; whatever goes wrong, the file is there."""
    try:
        dataset.push_to_hub(repository)
    except Exception as error:  # the Hub's client raises a dozen kinds
        raise ValueError(
            f"--push_to_hub {repository} failed ({type(error).__name__}: {(str(error).splitlines() or [''])[0]}). The "
            f"dataset is in {path}; log in with `hf auth login` and push it from there."
        ) from None


def main(flags: list[str]) -> None:
    """Parses flags and YAML, and ends with one line if something is wrong with what the user gave."""
    kinds: Any = (GenerationArguments, GenerationConfig, ModelConfig)
    parser = TrlParser(kinds, description=__doc__)
    if not any(flag.split("=")[0] in ("--config", "--model_name_or_path") for flag in flags):
        flags = ["--config", str(DEFAULT_CONFIG), *flags]
    try:
        script_args, args, model_args = parser.parse_args_and_config(flags, fail_with_unknown_args=True)
        trainer = set_up(script_args, args, model_args)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"error: {error}")
    try:
        dataset = write_and_label(trainer, script_args)
    except TooFewInstructionsError as error:
        sys.exit(f"error: {error}")
    if trainer.is_world_process_zero():
        dataset = store(dataset, script_args)
        print(f"{len(dataset)} rows in {script_args.output_file}.")
        try:
            if args.dataset_repository:
                push(dataset, args.dataset_repository, script_args.output_file)
        except ValueError as error:
            sys.exit(f"error: {error}")
    trainer.end()


if __name__ == "__main__":
    main(sys.argv[1:])

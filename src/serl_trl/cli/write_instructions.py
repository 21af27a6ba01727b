r"""Has a language model write problems and label them by majority vote, without training: a pseudo-labelled dataset.

    serl-trl write                                                  the built-in model, on a CPU
    serl-trl write --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct --seed_file prompts.jsonl --num_instructions 5000 \
        --num_rounds 3 --output_file problems.parquet --accelerate_config multi_gpu --num_processes 2
    serl-trl write --min_vote_share 0.5 --max_vote_share 1 --push_to_hub me/pseudo-gsm8k

Settings come from flags and from a YAML file (`--config FILE`, or the NAME of one that comes with serl_trl); flags take
precedence. Without `--config` and `--model_name_or_path` it is generate_tiny_cpu. A row has the problem (`text`), what the
model is asked (`prompt`), the label (`answer`) with its vote share (`share`), and where it comes from; docs/how-to.md
lists all.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import ModelConfig, TrlParser, get_quantization_config

from .. import MajorityVoteReward, SelfInstructDataset, SeRLConfig, SeRLTrainer
from ..instructions import TooFewInstructionsError, drift_warning
from ..rollouts import written_replies
from ..runtime import imported_object
from ..trainer import checked_datasets
from ..types import Prompt, Verdict
from ..voting import Vote
from .dataset_files import push, store
from .launch import launch
from .named_files import CONFIGS, taken, with_config_file
from .parsers import parsed
from .train_inputs import check_eval_strategy, load_model, load_seeds, load_template, load_tokenizer, source_of
from .write_arguments import GenerationArguments


DEFAULT_CONFIG = CONFIGS / "generate_tiny_cpu.yaml"


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


def set_up(script_args: GenerationArguments, args: SeRLConfig, model_args: ModelConfig) -> SeRLTrainer:
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


def write_and_label(trainer: SeRLTrainer, script_args: GenerationArguments) -> Dataset:
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


def chosen(dataset: Dataset, *, all_rows: bool) -> Dataset:
    """The rows that are wanted: those that were kept, or all."""
    if all_rows:
        return dataset
    is_kept = dataset["is_kept"]
    return dataset.select([i for i in range(len(dataset)) if is_kept[i]])


def main(flags: list[str]) -> None:
    """Parses flags and YAML, and ends with one line if something is wrong with what the user gave."""
    try:
        accelerate_config, flags = taken("--accelerate_config", flags)
        flags = with_config_file(flags, DEFAULT_CONFIG.stem)
        kinds: Any = (GenerationArguments, GenerationConfig, ModelConfig)
        parser = TrlParser(kinds, prog="serl-trl write", description=__doc__)
        if "--help_all" in flags:
            parser.print_help()
            return
        if accelerate_config is not None:
            launch("write", accelerate_config, flags, parser)
            return
        script_args, args, model_args = parsed(parser, flags)
        trainer = set_up(script_args, args, model_args)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"error: {error}")
    try:
        dataset = write_and_label(trainer, script_args)
    except TooFewInstructionsError as error:
        sys.exit(f"error: {error}")
    if trainer.is_world_process_zero():
        dataset = chosen(dataset, all_rows=script_args.all_rows)
        store(dataset, script_args.output_file)
        print(f"{len(dataset)} rows in {script_args.output_file}.")
        try:
            if args.dataset_repository:
                push(dataset, args.dataset_repository, script_args.output_file)
        except ValueError as error:
            sys.exit(f"error: {error}")
    trainer.end()


if __name__ == "__main__":
    main(sys.argv[1:])

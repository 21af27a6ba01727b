"""Trains a language model to reason better on prompts without labels.

    accelerate launch recipes/serl_math.py                                  the built-in laboratory, on a CPU
    accelerate launch recipes/serl_math.py --seed 1 --learning_rate 1e-4    the same with other settings
    accelerate launch recipes/serl_math.py --config recipes/configs/smollm2_cpu.yaml --seed_file prompts.jsonl
    accelerate launch recipes/serl_math.py --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct \
        --dataset_name openai/gsm8k --dataset_config main --output_dir runs/gsm8k
    python recipes/serl_math.py --config recipes/configs/llama3.2_3b.yaml --seed_file prompts.jsonl --dry_run \
        --plan_for accelerate_configs/deepspeed_zero3.yaml --plan_device_gb 48    what it would do and need

Settings come from flags and from a YAML file (`--config FILE`, with flags taking precedence). Without `--config` and
`--model_name_or_path` the file is recipes/configs/tiny_cpu.yaml. The run folder (`--output_dir`) gets the model, its
card, run.json, instructions/iteration_N.jsonl, metrics.jsonl, evaluation.json, held_out_before.jsonl and _after.jsonl,
learning_curves.png, drift.png, and report.html, which shows all of it; with `--push_to_hub` everything goes to the Hub
(`--hub_model_id USER/NAME`).
"""

import json
import logging
import random
import re
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from rich.console import Console
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils.logging import disable_progress_bar
from trl import ModelConfig, ScriptArguments, TrlParser, get_peft_config, get_quantization_config

from .. import GroundTruthReward, MajorityVoteReward, SelfInstructDataset, SeRLConfig, SeRLTrainer
from ..answers import ANSWER_TYPES, answer_kind
from ..checkpoints import complete_checkpoints
from ..evaluation import Problems
from ..instructions import TooFewInstructionsError, check_filters
from ..laboratory import solve
from ..monitoring import ACTIONS, CollapseGuard, MetricsFileCallback, SummaryProgressCallback, check_action
from ..prompts import prompts_of, put_to_policy
from ..reports import drift_plot, instruction_table, learning_curves, page_or_warning, write_run_record
from ..runtime import imported_object, run_on_all_ranks
from ..trainer import HubError, check_rendering, checked_datasets
from . import plan as dry_run
from . import publish as publishing
from .measure import Measurements, load_measured
from .plan_arguments import PlanArguments, planned
from .train_inputs import (
    check_eval_strategy,
    check_num_votes,
    load_model,
    load_seeds,
    load_template,
    load_tokenizer,
    source_of,
    use_cores,
)


logger = logging.getLogger(__name__)

DEFAULT_CONFIG = Path(__file__).parent / "configs" / "tiny_cpu.yaml"


@dataclass
class SeRLScriptArguments(ScriptArguments):
    """Where prompts come from, how they are put to the model, and what is measured."""

    seed_file: str | None = field(
        default=None,
        metadata={
            "help": "JSON Lines file of unlabelled prompts, each line with a field 'prompt', 'problem' or 'question'. "
            "Without it and without --dataset_name the prompts are the laboratory's word problems."
        },
    )
    num_seeds: int | None = field(
        default=None,
        metadata={"help": "Use only this many prompts, drawn with --seed. Default: all (laboratory: 200)."},
    )
    prompt_template: str | None = field(
        default=None,
        metadata={
            "help": "YAML file with the keys 'user' (a text with {instruction}), 'system' and 'examples' (a list of "
            "'instruction' and 'response', shown as earlier turns), 'continues_list' (true: new prompts are asked for by an "
            "unfinished list as plain text). Default: the bare prompt as a user message, or as plain text if the "
            "tokenizer has no chat template."
        },
    )
    filters: list[str] = field(
        default_factory=list,
        metadata={"help": "Further filters of written prompts, each MODULE:NAME of an object with a name and a call."},
    )
    eval_file: str | None = field(
        default=None,
        metadata={
            "help": "JSON Lines file of problems with a field 'answer', for the tables before and after; training never "
            "sees it. Default: held-out word problems in the laboratory, else nothing is measured."
        },
    )
    num_eval_problems: int = field(default=512, metadata={"help": "Problems in the tables before and after."})
    num_eval_samples: int = field(default=16, metadata={"help": "Samples per problem there (the k of maj@k)."})
    watched_sets: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Further labelled sets, of another domain for example, to see what is forgotten: names, NAME=FILE or files, "
            "as for --datasets of evaluate.py."
        },
    )
    eval_every: int = field(
        default=0,
        metadata={
            "help": "Also measure some problems of each set every so many optimiser steps; 0: only as iterations end."
        },
    )
    num_interim_problems: int = field(
        default=128, metadata={"help": "Problems of each set that are measured while training; 0: none."}
    )
    eval_batch_size: int = field(default=256, metadata={"help": "Completions generated at a time while measuring."})
    answer_type: str = field(
        default="math",
        metadata={
            "help": "What answers are: 'math' (expressions), 'number', 'choice' (a letter from A to J) or 'text'.",
            "choices": list(ANSWER_TYPES),
        },
    )
    reward_funcs: list[str] = field(
        default_factory=lambda: ["vote"],
        metadata={
            "help": "Rewards: 'vote' (majority vote, no labels), 'truth' (column 'answer'), and the control arms "
            "'coin_flip' and 'box' (1 for any boxed answer). Weigh several with --reward_weights; the gate reads the "
            "vote even at weight 0."
        },
    )
    num_votes: int | None = field(
        default=None,
        metadata={"help": "Completions that vote on each prompt; those beyond --num_generations are not trained on."},
    )
    soft_votes: bool = field(
        default=False,
        metadata={"help": "Whether the reward of a vote is the share of the completion's own answer, not 1 or 0."},
    )
    collapse_guard: str = field(
        default="warn",
        metadata={
            "help": "What happens when the votes look as if they collapse, judged without labels: 'warn', 'stop', 'restore' (stop, "
            "and go back to the last checkpoint without a sign), or 'off'.",
            "choices": ["off", *ACTIONS],
        },
    )
    num_probes: int = field(
        default=128, metadata={"help": "Seeds that the policy answers again and again for it, one greedy answer each."}
    )
    probe_every: int = field(default=5, metadata={"help": "Optimiser steps between two of these looks."})
    merge_adapter: bool = field(
        default=False,
        metadata={
            "help": "Whether to save (and push) the adapter of --use_peft merged into its base, too, as OUTPUT_DIR-merged."
        },
    )

    def __post_init__(self):
        if self.seed_file and self.dataset_name:
            raise ValueError(
                f"Both --seed_file {self.seed_file} and --dataset_name {self.dataset_name} are given; choose one."
            )
        answer_kind(self.answer_type)  # raises if there is no such type
        unknown = set(self.reward_funcs) - set(REWARDS)
        if unknown:
            raise ValueError(f"--reward_funcs has {', '.join(sorted(unknown))}; choose from {', '.join(REWARDS)}.")
        if (self.num_votes is not None or self.soft_votes) and "vote" not in self.reward_funcs:
            raise ValueError(
                "--num_votes and --soft_votes are about the reward 'vote', which --reward_funcs lacks; add it."
            )


# Rewards -----------------------------------------------------------------------------------------------------------


class CoinFlip:
    """A control arm: a reward that knows nothing. Its state goes into checkpoints."""

    __name__ = "coin_flip_reward"

    def __init__(self, seed: int, script_args: SeRLScriptArguments) -> None:
        self.rng = random.Random(seed + PartialState().process_index)

    def __call__(self, completions: list, **kwargs: Any) -> list[float]:
        return [float(self.rng.random() < 0.5) for _ in completions]

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self.rng.getstate()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        version, numbers, gauss = state["rng"]
        self.rng.setstate((version, tuple(numbers), gauss))


def box(seed: int, script_args: SeRLScriptArguments) -> Any:
    """A control arm: a reward for the form alone."""

    def box_reward(completions: list, **kwargs: Any) -> list[float]:
        texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
        return [float(re.search(r"\\boxed\{[^{}]+\}", text) is not None) for text in texts]

    return box_reward


REWARDS = {
    "vote": lambda seed, script_args: MajorityVoteReward(
        script_args.answer_type, num_votes=script_args.num_votes, soft=script_args.soft_votes
    ),
    "truth": lambda seed, script_args: GroundTruthReward(script_args.answer_type),
    "coin_flip": CoinFlip,
    "box": box,
}


# The job -----------------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """Everything a run needs, checked, before anything is written."""

    script_args: SeRLScriptArguments
    training_args: Any  # a SeRLConfig
    model_args: ModelConfig
    model: Any
    tokenizer: Any
    seeds: Dataset
    dataset: Any  # what is trained on: the seeds, or the slots of a SelfInstructDataset
    measured: list[Problems]


def set_up(script_args: SeRLScriptArguments, training_args: Any, model_args: ModelConfig) -> Job:
    """Loads what the user named; raises ValueError for whatever is wrong with it."""
    if training_args.use_cpu or not torch.accelerator.is_available():
        use_cores(PartialState().num_processes)
    publishing.check_adapter_flags(script_args, model_args)
    filters = check_filters(imported_object(name, "--filters") for name in script_args.filters)
    check_num_votes(script_args, training_args)
    if script_args.collapse_guard != "off":
        check_action(script_args.collapse_guard, training_args)
    check_eval_strategy(training_args)
    seeds = load_seeds(script_args, training_args)
    tokenizer = load_tokenizer(model_args, training_args)
    template = load_template(script_args.prompt_template, tokenizer)
    if not isinstance(seeds[0]["prompt"], str):
        template = None  # the prompts are messages already
    measured = load_measured(script_args, template, prompts_of(seeds))
    if training_args.self_instruct:
        dataset: Any = SelfInstructDataset.from_config(seeds, training_args, template, filters)
    else:
        rendered = [put_to_policy(prompt, template) for prompt in seeds["prompt"]]
        dataset = Dataset.from_dict({**seeds.to_dict(), "prompt": rendered})
    # nothing but the names of the model is loaded yet, and from here on nothing can be wrong with what was given
    source = source_of(model_args, training_args)["pretrained_model_name_or_path"]
    checked_datasets(dataset, None, training_args, source, tokenizer)
    asked = [prompt for problems in measured for prompt in problems.prompts]
    check_rendering(asked, tokenizer, training_args.chat_template_kwargs)
    model = load_model(model_args, training_args)
    return Job(script_args, training_args, model_args, model, tokenizer, seeds, dataset, measured)


def run(job: Job) -> None:
    """Measures, trains, measures again, and leaves a run folder."""
    trainer = build_trainer(job)
    checkpoint = checkpoint_to_resume(trainer)
    run_dir, is_main = Path(job.training_args.output_dir), trainer.is_world_process_zero()
    say = trainer.accelerator.print

    run_on_all_ranks(lambda: begin_folder(job, checkpoint) if is_main else None)
    measurements = Measurements(trainer, job.script_args, job.measured)
    publishing.describe(trainer, job.script_args, measurements.num_held_out)
    if job.measured:
        if checkpoint:
            measurements.take_before()  # of the base, which is about to be replaced by the checkpoint
        else:
            trainer.add_callback(measurements.at_the_start())
        if job.script_args.num_interim_problems:
            trainer.add_callback(measurements.callback())
    say(f"Training on {len(job.seeds)} unlabelled prompts ..." + (f" (from {checkpoint})" if checkpoint else ""))
    try:
        result = trainer.train(resume_from_checkpoint=checkpoint)
    except KeyboardInterrupt:
        saved = complete_checkpoints(run_dir)
        say(f"Interrupted; --resume_from_checkpoint true goes on from {saved[-1]}." if saved else "Interrupted.")
        sys.exit(130)  # as a shell has it
    trainer.save_locally()  # it is pushed at the end, with what was measured
    if job.measured:
        say("Measuring what it has learnt ...")
        measurements.take("after")
        trainer.card_facts.scores = measurements.scores()
    if is_main:
        trainer.create_model_card(run_dir.name)
        seconds = result.metrics["train_runtime"] - measurements.seconds_at_the_start
        record = {"train_seconds": seconds, **measurements.record()}
        (run_dir / "evaluation.json").write_text(json.dumps(record, indent=1))
        show(job, run_dir)
        measurements.show()
        say(f"Trained for {seconds:.0f} s. Run folder: {run_dir}.")
        if (page := page_or_warning(run_dir)) is not None:
            say(f"Everything about it on one page: {page}")
    publishing.publish(trainer, is_merged=job.script_args.merge_adapter)
    trainer.end()


def show(job: Job, run_dir: Path) -> None:
    """Pictures, and a table of what was written; the run is done, so an error there is only told."""
    try:
        learning_curves(run_dir)
        if job.training_args.self_instruct:
            drift_plot(run_dir)
            is_laboratory = not (job.script_args.seed_file or job.script_args.dataset_name)
            oracle = (lambda text: solve(text) is not None) if is_laboratory else None
            Console().print(instruction_table(run_dir, oracle))
    except Exception as error:
        logger.warning(f"The run is done, but not all of it could be drawn: {error!r}", exc_info=True)


def begin_folder(job: Job, checkpoint: str | None) -> None:
    """Notes in the run folder what the run was given, and clears the way for its measurements."""
    others = {"recipe": job.script_args, "model": job.model_args}
    name = str(job.model_args.model_name_or_path)
    write_run_record(job.training_args, model=name, resumed_from=checkpoint, others=others)
    for path in Path(job.training_args.output_dir).glob("held_out_*.jsonl"):
        path.unlink()  # of whatever model: evaluate would take what it finds there for done


def checkpoint_to_resume(trainer: SeRLTrainer) -> str | None:
    """The checkpoint of `--resume_from_checkpoint`, a path or true; ends with one line if there is something wrong."""
    choice: Any = trainer.args.resume_from_checkpoint
    try:
        found = trainer.checkpoint_to_resume({"true": True, "false": None}.get(str(choice).lower(), choice))
    except ValueError as error:
        sys.exit(f"error: {error}")
    return None if found is None else str(found)


def build_trainer(job: Job) -> SeRLTrainer:
    """The trainer of a job, with a progress bar and a metrics file."""
    args = job.training_args
    trainer = SeRLTrainer(
        job.model,
        reward_funcs=[REWARDS[name](args.seed, job.script_args) for name in job.script_args.reward_funcs],
        args=args,
        train_dataset=job.dataset,
        processing_class=job.tokenizer,
        quantization_config=get_quantization_config(job.model_args),
        peft_config=get_peft_config(job.model_args),
    )
    for callback in (ProgressCallback, PrinterCallback):  # they print every log in full
        trainer.remove_callback(callback)
    if not args.disable_tqdm:
        trainer.add_callback(SummaryProgressCallback)
    trainer.add_callback(MetricsFileCallback)
    choice = job.script_args.collapse_guard
    if choice not in ("off", "warn") or (choice == "warn" and trainer.vote_reward is not None):
        guard = CollapseGuard(trainer, choice, job.script_args.num_probes, job.script_args.probe_every)
        trainer.add_callback(guard)
    return trainer


def main(flags: list[str]) -> None:
    """Parses flags and YAML, and ends with one line if something is wrong with what the user gave."""
    if not any(flag.split("=")[0] in ("--config", "--model_name_or_path") for flag in flags):
        flags = ["--config", str(DEFAULT_CONFIG), *flags]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # of its own use by TRL
    if not sys.stderr.isatty():
        disable_progress_bar()  # those of loading; a file would keep every stage of them
    try:
        kinds: Any = (SeRLScriptArguments, planned(SeRLConfig, flags), ModelConfig, PlanArguments)
        parser = TrlParser(kinds, description=__doc__)
        *settings, plan_args = parser.parse_args_and_config(flags, fail_with_unknown_args=True)
        if plan_args.dry_run:
            dry_run.main(plan_args, *settings)
            return
        job = set_up(*settings)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"error: {error}")
    try:
        run(job)
    except (TooFewInstructionsError, HubError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])

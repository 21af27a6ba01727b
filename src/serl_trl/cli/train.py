r"""Trains a language model to reason better on prompts without labels.

    serl-trl train                                      the built-in laboratory, on a CPU, as `serl-trl demo`
    serl-trl train --seed 1 --learning_rate 1e-4        the same with other settings
    serl-trl train --config smollm2_cpu --seed_file prompts.jsonl
    serl-trl train --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct --dataset_name openai/gsm8k --dataset_config main \
        --output_dir runs/gsm8k
    serl-trl train --config qwen2.5_7b --seed_file prompts.jsonl --accelerate_config deepspeed_zero3 --num_processes 4
    serl-trl plan --config qwen2.5_7b --seed_file prompts.jsonl         what it would do and need

Settings come from flags and from a YAML file (`--config FILE`, or the NAME of one that comes with serl_trl); flags
take precedence. Without `--config` and `--model_name_or_path` it is tiny_cpu. `--accelerate_config FILE|NAME` starts
several processes as accelerate does. Flags that training does not know, such as `--num_processes 4`, then go to
accelerate. `accelerate launch recipes/serl_math.py` is the same command as a script.

The run folder (`--output_dir`) gets the model, its card, run.json, instructions/iteration_N.jsonl, metrics.jsonl,
evaluation.json, held_out_before.jsonl and _after.jsonl, learning_curves.png, drift.png, and report.html, which shows
all of it; with `--push_to_hub` everything goes to the Hub (`--hub_model_id USER/NAME`).
"""

import json
import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from rich.console import Console
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from transformers.utils.logging import disable_progress_bar
from trl import ModelConfig, TrlParser, get_peft_config, get_quantization_config

from .. import SelfInstructDataset, SeRLConfig, SeRLTrainer
from ..checkpoints import complete_checkpoints
from ..evaluation import Problems
from ..instructions import TooFewInstructionsError, check_filters
from ..laboratory import solve
from ..monitoring import CollapseGuard, MetricsFileCallback, SummaryProgressCallback, check_action
from ..prompts import prompts_of, put_to_policy
from ..reports import drift_plot, instruction_table, learning_curves, page_or_warning, write_run_record
from ..runtime import imported_object, run_on_all_ranks
from ..trainer import HubError, check_rendering, checked_datasets
from . import publish as publishing
from .dataset_files import check_writable
from .launch import launch
from .measure import Measurements, load_measured
from .named_files import CONFIGS, taken, with_config_file
from .parsers import parsed
from .plan import show_plan
from .plan_arguments import PlanArguments, planned
from .train_arguments import SeRLScriptArguments
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
from .train_rewards import REWARDS


logger = logging.getLogger(__name__)

DEFAULT_CONFIG = CONFIGS / "tiny_cpu.yaml"


@dataclass
class Job:
    """Everything a run needs, checked, before anything is written."""

    script_args: SeRLScriptArguments
    training_args: SeRLConfig
    model_args: ModelConfig
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    seeds: Dataset
    dataset: Dataset | SelfInstructDataset  # what is trained on: the seeds, or the slots of a SelfInstructDataset
    measured: list[Problems]


def set_up(script_args: SeRLScriptArguments, training_args: SeRLConfig, model_args: ModelConfig) -> Job:
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
        dataset: Dataset | SelfInstructDataset = SelfInstructDataset.from_config(
            seeds, training_args, template, filters
        )
    else:
        rendered = [put_to_policy(prompt, template) for prompt in seeds["prompt"]]
        dataset = Dataset.from_dict({**seeds.to_dict(), "prompt": rendered})
    # nothing but the names of the model is loaded yet, and from here on nothing can be wrong with what was given
    source = source_of(model_args, training_args)["pretrained_model_name_or_path"]
    checked_datasets(dataset, None, training_args, source, tokenizer)
    asked = [prompt for problems in measured for prompt in problems.prompts]
    check_rendering(asked, tokenizer, training_args.chat_template_kwargs)  # type: ignore[arg-type]  # TRL has parsed it
    model = load_model(model_args, training_args)
    return Job(script_args, training_args, model_args, model, tokenizer, seeds, dataset, measured)


def run(job: Job) -> None:
    """Measures, trains, measures again, and leaves a run folder."""
    trainer = build_trainer(job)
    checkpoint = checkpoint_to_resume(trainer)
    run_dir, is_main = Path(str(job.training_args.output_dir)), trainer.is_world_process_zero()
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
    for path in Path(str(job.training_args.output_dir)).glob("held_out_*.jsonl"):
        path.unlink()  # of whatever model: evaluate would take what it finds there for done


def checkpoint_to_resume(trainer: SeRLTrainer) -> str | None:
    """The checkpoint of `--resume_from_checkpoint`, a path or true; ends with one line if there is something wrong."""
    choice = trainer.args.resume_from_checkpoint
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
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")  # of its own use by TRL
    if not sys.stderr.isatty():
        disable_progress_bar()  # those of loading; a file would keep every stage of them
    try:
        accelerate_config, flags = taken("--accelerate_config", flags)
        flags = with_config_file(flags, DEFAULT_CONFIG.stem)
        kinds: Any = (SeRLScriptArguments, planned(SeRLConfig, flags), ModelConfig, PlanArguments)
        parser = TrlParser(kinds, prog="serl-trl train", description=__doc__)
        if "--help_all" in flags:
            parser.print_help()
            return
        if accelerate_config is not None:
            launch("train", accelerate_config, flags, parser)
            return
        *settings, plan_args = parsed(parser, flags)
        if plan_args.dry_run:
            show_plan(plan_args, *settings)
            return
        job = set_up(*settings)
        check_writable(f"{settings[1].output_dir}/run.json", "--output_dir")
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.exit(f"error: {error}")
    try:
        run(job)
    except (TooFewInstructionsError, HubError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""What `serl-trl train` measures a policy on: labelled problems that training never sees, before it, meanwhile and after."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from rich.console import Console
from transformers import TrainerCallback

from .. import SeRLTrainer
from ..checkpoints import tensor_hashes
from ..evaluation import (
    EvaluationReport,
    FiledRows,
    Gain,
    Problems,
    TransformersEngine,
    evaluate,
    gains,
    load_problems,
    print_gains,
    print_table,
)
from ..laboratory import word_problems
from ..monitoring import EvaluationCallback
from ..prompts import PromptTemplate, put_to_policy, shared_lead
from ..rollouts import whole_model
from ..types import Prompt
from .train_arguments import SeRLScriptArguments


HELD_OUT = ""  # name of the set of the run's own domain; those that are watched have the names of their files


def load_measured(
    script_args: SeRLScriptArguments, template: PromptTemplate | None = None, seeds: Sequence[Prompt] = ()
) -> list[Problems]:
    """
    The labelled sets, as the policy is asked: first, if there is one, that of the run's own domain, then those that are watched.

    Args:
        script_args: The settings of the command.
        template ([`PromptTemplate`], *optional*): How problems that are texts are put to the policy.
        seeds (`Sequence`, *optional*): The prompts of the run. Where they are messages, texts are asked as they are.

    Raises:
        ValueError: If one cannot be loaded, or two have the same name.
    """
    sets, num = [], script_args.num_eval_problems
    if script_args.eval_file:
        sets = [replace(load_problems(script_args.eval_file, num, script_args.answer_type), name=HELD_OUT)]
    elif num and not (script_args.seed_file or script_args.dataset_name):
        problems = word_problems(num, "held_out")
        sets = [Problems(HELD_OUT, problems["prompt"][:], problems["answer"][:], "math", [])]
    sets += [load_problems(source, num or None, script_args.answer_type) for source in script_args.watched_sets]
    names = [problems.name for problems in sets]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"--watched_sets has two sets of the name {', '.join(sorted(twice))}; rename a file.")
    lead = shared_lead(seeds)
    return [
        replace(problems, prompts=[put_to_policy(prompt, template, lead) for prompt in problems.prompts])
        for problems in sets
    ]


class Measurements:
    """
    The reports on a policy, of each set before and after its training.

    The curve is of the first problems of each table, with the same random numbers. Where two measurements follow each other and
    no weight has moved, the later one takes over the completions of the earlier: the curve begins with those of the base, and the
    table after training with those of the curve's last point.

    Args:
        trainer ([`SeRLTrainer`]): The trainer of the policy.
        script_args: The settings of the command.
        sets (`list[Problems]`): What is measured on, from [`load_measured`].
    """

    def __init__(self, trainer: SeRLTrainer, script_args: SeRLScriptArguments, sets: list[Problems]) -> None:
        self.trainer, self.script_args, self.sets = trainer, script_args, sets
        self.max_new_tokens: Any = trainer.args.max_completion_length
        self.reports: dict[str, dict[str, EvaluationReport]] = {problems.name: {} for problems in sets}
        self._latest: dict[str, tuple[Any, FiledRows]] = {}  # of each set: what was measured, and its completions
        self.seconds_at_the_start = 0.0  # what measuring the base took of the time of training

    def take(self, when: str) -> None:
        """Measures all problems of all sets `"before"` or `"after"`; completions go into the run folder."""
        run_dir, args = Path(str(self.trainer.args.output_dir)), self.script_args
        for problems in self.sets:
            file = run_dir / (f"held_out_{problems.name}_{when}.jsonl" if problems.name else f"held_out_{when}.jsonl")
            report = self._measure(problems, len(problems.prompts), args.num_eval_samples, file)
            self.reports[problems.name][when] = report

    def take_before(self) -> None:
        """Measures the base, and tells of it."""
        trainer = self.trainer
        trainer.accelerator.print(f"Measuring the base on {self.told} ...")
        self.take("before")
        trainer.card_facts.scores = self.scores()
        if trainer.is_world_process_zero():
            self.show()

    def at_the_start(self) -> "MeasureBase":
        """What measures the base as training begins."""
        return MeasureBase(self)

    def callback(self) -> EvaluationCallback:
        """What measures some problems of each set while the policy is trained."""
        num_problems, num_samples = self.script_args.num_interim_problems, self.script_args.num_eval_samples
        measures = {
            problems.name: lambda problems=problems: self._measure(problems, num_problems, num_samples)
            for problems in self.sets
        }
        return EvaluationCallback(self.trainer, measures, self.script_args.eval_every)

    @property
    def told(self) -> str:
        """What is measured on, in words."""
        return ", ".join(
            f"{len(problems.prompts)} {f'problems of {problems.name}' if problems.name else 'held-out problems'}"
            for problems in self.sets
        )

    @property
    def num_held_out(self) -> int:
        """Problems of the run's own domain."""
        return sum(len(problems.prompts) for problems in self.sets if problems.name == HELD_OUT)

    def scores(self, name: str = HELD_OUT) -> dict[str, dict[str, list[float]]]:
        """What is known of a set, before and after: each metric as `[mean, low, high]`."""
        return {when: report.as_dict() for when, report in self.reports.get(name, {}).items()}

    def gains(self, name: str = HELD_OUT) -> dict[str, Gain]:
        """What training changed on a set; empty as long as it is not measured before and after."""
        reports = self.reports.get(name, {})
        return gains(reports["before"], reports["after"]) if {"before", "after"} <= set(reports) else {}

    def record(self) -> dict[str, Any]:
        """All scores and gains, for a file: those of watched sets under their names in `watched`, if there are any."""
        record = {name: self.scores(name) | self._gain_record(name) for name in self.reports}
        watched = {name: of_set for name, of_set in record.items() if name != HELD_OUT}
        return record.get(HELD_OUT, {}) | ({"watched": watched} if watched else {})

    def _gain_record(self, name: str) -> dict[str, Any]:
        found = self.gains(name)
        return {"gain": {score: one.as_dict() for score, one in found.items()}} if found else {}

    def show(self) -> None:
        """Prints a table for each set."""
        for name, reports in self.reports.items():
            if reports:
                where = f"on {name}" if name else "on held-out problems"
                print_table(reports, where.capitalize() if name == HELD_OUT else f"On {name}", Console())
                if found := self.gains(name):
                    print_gains(found, f"What training changed {where}", Console())

    def _measure(
        self, problems: Problems, num_problems: int, num_samples: int, file: Path | None = None
    ) -> EvaluationReport:
        batch_size = self.script_args.eval_batch_size
        with whole_model(self.trainer) as model:
            engine = TransformersEngine(model, self.trainer.decoding, batch_size)
            return evaluate(
                engine,
                problems.prompts[:num_problems],
                problems.answers[:num_problems],
                answer_type=problems.answer_type,
                num_samples=num_samples,
                max_new_tokens=self.max_new_tokens,
                batch_size=batch_size,
                file=file,
                known=self._known(problems.name, engine),
            )

    def _known(self, name: str, engine: TransformersEngine) -> FiledRows:
        """
        The latest completions on a set, if they are of the same weights, in the same precision; else an empty dictionary for
        those that are about to be generated.

        The bytes of all weights are compared, since a guard or the best checkpoint may have brought others back.
        """
        measured = tensor_hashes(dict(engine.model.named_parameters())), engine.settings
        former, rows = self._latest.get(name, (None, {}))
        if not all(gather_object([measured == former])):  # a process may hold a part of the weights alone
            rows = {}
        self._latest[name] = measured, rows
        return rows


class MeasureBase(TrainerCallback):
    """
    Measures the base as training begins.

    By then the model is wrapped, cast and sharded as it will be afterwards. Before, DeepSpeed and mixed precision would have it
    compute in another precision, and the base would not be the model that is trained.
    """

    def __init__(self, measurements: Measurements) -> None:
        self.measurements = measurements

    def on_train_begin(self, args, state, control, **kwargs):
        if state.global_step == 0:
            start = time.perf_counter()
            self.measurements.take_before()
            self.measurements.seconds_at_the_start = time.perf_counter() - start

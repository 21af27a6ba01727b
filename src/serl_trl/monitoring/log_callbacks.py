"""What a run tells while it trains: scores on held-out problems, a file of metrics, a line of progress."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState

from ..evaluation import EvaluationReport
from ..runtime import temporarily_set, written_whole


class LoggingTrainer(Protocol):
    """What is asked of a trainer to log scores."""

    model: torch.nn.Module

    def log(self, logs: dict[str, float]) -> None:
        """Files them under the step that is done."""


class EvaluationCallback(TrainerCallback):
    """
    Measures the policy on labelled problems that training never sees: before it, every few steps, as each iteration ends.

    The scores are logged as `eval_greedy pass@1`, `eval_sampled pass@1`, `eval_maj@4` and so on, those of a set with a name as
    `eval_NAME_greedy pass@1`. A step is measured once, however many of its occasions fall together.

    Args:
        measures (`Mapping[str, Callable[[], EvaluationReport]]`):
            What scores the policy as it is, by the name of the set; the name of the one that matters most is empty.
        every_steps (`int`): Optimiser steps between two measurements; 0: only at the ends of iterations.
    """

    def __init__(
        self, trainer: LoggingTrainer, measures: Mapping[str, Callable[[], EvaluationReport]], every_steps: int
    ) -> None:
        self.trainer, self.measures, self.every_steps = trainer, measures, every_steps
        self._measured_step: int | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        self._measured_step = None
        if state.global_step == 0:
            self._log(state, control)

    def on_step_end(self, args, state, control, **kwargs):
        if self.every_steps and state.global_step % self.every_steps == 0:
            self._log(state, control)

    def on_epoch_end(self, args, state, control, **kwargs):
        if self._measured_step != state.global_step:
            self._log(state, control)

    def _log(self, state: TrainerState, control: TrainerControl) -> None:
        self._measured_step = state.global_step
        should_log = control.should_log  # a log clears it, and that of the step itself is still to come
        scores = {
            f"eval_{name}_{metric}" if name else f"eval_{metric}": score.mean
            for name, measure in self.measures.items()
            for metric, score in measure().scores().items()
        }
        model = self.trainer.model
        was_training = model.training
        model.eval()  # TRL files a log under the mode that the model is in
        with temporarily_set(self.trainer, log_completions=False):  # those of the step come with its own log
            self.trainer.log(scores)
        model.train(was_training)
        control.should_log = should_log


class MetricsFileCallback(TrainerCallback):
    """Appends what is logged to `metrics.jsonl` in the run folder, which begins with the logs before the checkpoint."""

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            with written_whole(self._path(args)) as temporary:
                temporary.write_text("".join(map(self._line, state.log_history)), encoding="utf-8")

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero and logs:
            with self._path(args).open("a", encoding="utf-8") as file:
                file.write(self._line({**logs, "step": state.global_step}))

    @staticmethod
    def _path(args) -> Path:
        return Path(args.output_dir) / "metrics.jsonl"

    @staticmethod
    def _line(log: dict[str, Any]) -> str:
        return json.dumps({"step": log["step"], **log}) + "\n"


class SummaryProgressCallback(ProgressCallback):
    """
    Transformers' progress bar with the few numbers that matter beside it, instead of every log in full.

    Where nobody watches a bar, because stderr is no terminal, it is a short line for a log instead, at most about 50 a run.
    """

    shown = {  # noqa: RUF012
        "reward": "reward",
        "serl/vote/share_mean": "share",
        "serl/gate/frac_kept": "kept",
        "eval_greedy pass@1": "greedy",
        "eval_sampled pass@1": "sampled",
    }
    max_lines = 50

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, str] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        self.next_line = state.global_step
        if sys.stderr.isatty():
            super().on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, args, state, control, **kwargs):
        if self.training_bar is not None:
            super().on_step_end(args, state, control, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_world_process_zero:
            return
        found = {label: f"{logs[key]:.2f}" for key, label in self.shown.items() if (logs or {}).get(key) is not None}
        self.latest |= found
        if self.training_bar is not None:
            self.training_bar.set_postfix(self.latest)
        elif found and (state.global_step >= self.next_line or state.global_step == state.max_steps):
            if state.global_step > 0 and "reward" not in found:
                return  # a measurement, which comes before the log of its step and joins its line
            numbers = ", ".join(f"{label} {value}" for label, value in self.latest.items())
            print(f"step {state.global_step}/{state.max_steps}: {numbers}", file=sys.stderr, flush=True)
            self.next_line = state.global_step + max(1, state.max_steps // self.max_lines)
            self.latest = {}  # of a measurement that is not repeated, the line of its own step speaks

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
        if self.training_bar is not None:
            super().on_prediction_step(args, state, control, eval_dataloader, **kwargs)

    def on_train_end(self, args, state, control, **kwargs):
        if self.training_bar is not None:
            super().on_train_end(args, state, control, **kwargs)

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serl_trl.evaluation.evaluate import EvaluationReport
from serl_trl.monitoring.log_callbacks import EvaluationCallback
from serl_trl.trainer.step_callbacks import hold_empty_steps
from tiny_runs import equal, parameters, trainer


class ZeroOptimizer:
    """As far as it is asked: gradients are dropped after every step, weights move in `_optimizer_step`."""

    def __init__(self):
        self.weight = 0.0
        self.gradient: float | None = 1.0

    def _optimizer_step(self, group):
        self.weight += 1

    def step(self):
        self._optimizer_step(0)
        self.gradient = None


def test_an_empty_step_drops_gradients_and_moves_nothing():
    optimizer, verdicts = ZeroOptimizer(), iter([False, True, False])
    hold_empty_steps(optimizer, lambda: next(verdicts))
    weights: list[float] = []
    for _ in range(3):
        optimizer.gradient = 1.0
        optimizer.step()
        assert optimizer.gradient is None
        weights.append(optimizer.weight)
    assert weights == [1.0, 1.0, 2.0]


def test_an_optimizer_that_cannot_be_held_is_refused():
    with pytest.raises(ValueError, match=r"DeepSpeed's object cannot be kept .* Use zero_stage 2 or 3"):
        hold_empty_steps(object(), lambda: True)


def report(accuracy):
    column = np.array([accuracy])
    return EvaluationReport(column, 0 * column, 2 * column, column, column, column, num_samples=2)


class LoggingTrainer:
    """Notes what it is told to log, and in which mode its model is then."""

    def __init__(self):
        self.model: Any = SimpleNamespace(training=True)
        self.logged, self.log_completions = [], True
        self.model.eval = lambda: setattr(self.model, "training", False)
        self.model.train = lambda mode: setattr(self.model, "training", mode)

    def log(self, scores):
        assert (self.model.training, self.log_completions) == (False, False)
        self.logged.append(scores)


@pytest.mark.parametrize(("every_steps", "measured"), [(0, [0, 3, 6]), (2, [0, 2, 3, 4, 6]), (3, [0, 3, 6])])
def test_a_policy_is_measured_before_every_few_steps_and_as_iterations_end(every_steps, measured):
    trainer, steps = LoggingTrainer(), []

    def measured_now():
        steps.append(state.global_step)
        return report(1.0)

    callback = EvaluationCallback(trainer, {"": measured_now}, every_steps)
    state, control = SimpleNamespace(global_step=0), SimpleNamespace(should_log=True)
    callback.on_train_begin(None, state, control)
    for step in range(1, 7):  # two iterations of three steps
        state.global_step = step
        callback.on_step_end(None, state, control)
        if step % 3 == 0:
            callback.on_epoch_end(None, state, control)
    assert steps == measured
    assert len(trainer.logged) == len(measured)
    assert trainer.model.training
    assert control.should_log  # that of the step itself


def test_a_resumed_run_was_measured_before():
    trainer = LoggingTrainer()
    callback = EvaluationCallback(trainer, {"": lambda: report(1.0)}, 0)
    callback.on_train_begin(None, SimpleNamespace(global_step=3), SimpleNamespace(should_log=True))
    assert trainer.logged == []


def test_sets_are_logged_under_their_names():
    trainer = LoggingTrainer()
    callback = EvaluationCallback(trainer, {"": lambda: report(0.5), "gsm8k": lambda: report(0.0)}, 0)
    callback.on_train_begin(None, SimpleNamespace(global_step=0), SimpleNamespace(should_log=True))
    (scores,) = trainer.logged
    assert (scores["eval_greedy pass@1"], scores["eval_gsm8k_greedy pass@1"]) == (0.5, 0.0)
    assert (scores["eval_maj@2"], scores["eval_gsm8k_maj@2"]) == (0.5, 0.0)


@pytest.mark.slow
def test_a_second_run_goes_on_after_the_iterations_of_the_first(tmp_path):
    def started():
        return trainer(tmp_path, num_instructions=4, num_train_epochs=2, save_strategy="steps", save_steps=1)

    def files():
        return {path.name: path.read_text() for path in (tmp_path / "instructions").iterdir()}

    run = started()
    run.train()
    first = files()
    assert sorted(first) == ["iteration_1.jsonl", "iteration_2.jsonl"]
    run.train()
    second = files()
    assert sorted(second) == [f"iteration_{number}.jsonl" for number in (1, 2, 3, 4)]
    assert {name: second[name] for name in first} == first
    written = run.train_dataset.to_dataset()
    for name, text in second.items():
        rows = [json.loads(line) for line in text.splitlines()]
        of_iteration = written.filter(
            lambda number, name=name: f"iteration_{number}.jsonl" == name, input_columns="iteration"
        )
        assert of_iteration["text"] == [row["text"] for row in rows]
    (tmp_path / "instructions" / "iteration_4.jsonl").unlink()
    resumed = started()  # within the second run, of which the first iteration is done
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert files() == second
    assert equal(parameters(resumed.model), parameters(run.model))
    assert resumed.train_dataset.to_dataset().to_list() == written.to_list()

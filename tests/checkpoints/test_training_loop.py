"""Epochs that end early, and what is saved as they end: resumed runs end as those that were not stopped."""

import json
import shutil
import signal

import pytest
from transformers import TrainerCallback

from runs import differences, seeds, trainer
from serl_trl.checkpoints.checkpoint_files import complete_checkpoints


METRIC = "eval_reward"
EVALUATED = {
    "eval_strategy": "steps",
    "eval_steps": 1,
    "num_generations_eval": 4,
    "per_device_eval_batch_size": 4,
    "metric_for_best_model": METRIC,
    "save_strategy": "best",
}
# Two epochs of two steps of a rollout.
SHORT = {"self_instruct": False, "num_train_epochs": 2, "log_completions": False, "hub_model_id": "me/it"}


def scored(run, scores):
    """Has evaluation find these values after so many steps."""
    evaluate = run.evaluate

    def found(*args, **kwargs):
        metrics = evaluate(*args, **kwargs) | {METRIC: scores[run.state.global_step]}
        run.state.log_history[-1][METRIC] = metrics[METRIC]
        return metrics

    run.evaluate = found
    return run


def state(folder, step):
    return json.loads((folder / f"checkpoint-{step}" / "trainer_state.json").read_text())


def test_the_best_checkpoint_of_an_epochs_last_step_holds_its_log(tmp_path):
    def started(folder):
        run = trainer(folder, dataset=seeds(4), eval_dataset=seeds(2), **EVALUATED, **SHORT, logging_strategy="epoch")
        return scored(run, {1: 0.1, 2: 0.3, 3: 0.2, 4: 0.4})

    started(tmp_path / "whole").train()
    saved = [path.name for path in complete_checkpoints(tmp_path / "whole")]
    assert saved == ["checkpoint-1", "checkpoint-2", "checkpoint-4"]
    logs = state(tmp_path / "whole", 2)["log_history"]
    assert [row["step"] for row in logs if "loss" in row] == [2]
    assert state(tmp_path / "whole", 2)["best_global_step"] == 2
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "again" / "checkpoint-2")
    started(tmp_path / "again").train(resume_from_checkpoint=True)
    found = differences(tmp_path / "whole", tmp_path / "again", 4)
    timed = ("metrics.jsonl", "checkpoint-4/trainer_state.json")  # an evaluation is logged with how long it took
    assert [name for name in found if name not in timed] == []


def test_a_signal_saves_a_step_that_is_not_the_best(tmp_path):
    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 2:
                signal.raise_signal(signal.SIGINT)

    run = trainer(tmp_path, dataset=seeds(4), eval_dataset=seeds(2), **EVALUATED, **SHORT)
    run.add_callback(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        scored(run, {1: 0.1, 2: 0.3, 3: 0.2}).train()
    assert [path.name for path in complete_checkpoints(tmp_path)][-1] == "checkpoint-3"


class EndsEarly(TrainerCallback):
    """Ends the epoch after its first, or whichever, steps."""

    def __init__(self, *steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step in self.steps:
            control.should_epoch_stop = True


def early(folder, **settings):
    """Three iterations of four steps, of which the first two end after one and two."""
    settings = {"learning_rate": 1e-4, "num_few_shot": 2, "log_completions": False, **settings}
    run = trainer(folder, num_train_epochs=3, hub_model_id="me/it", **settings)
    run.add_callback(EndsEarly(1, 3))
    return run


@pytest.mark.parametrize(
    ("regenerate", "steps"),
    [("epoch", {1: 0, 2: 1, 5: 2}), ("step", {1: 0, 2: 1, 3: 1, 6: 2})],
)
@pytest.mark.slow
def test_an_epoch_that_ends_early_is_followed_by_the_next(tmp_path, regenerate, steps):
    whole = early(tmp_path / "whole", regenerate=regenerate)
    whole.train()
    assert whole.state.global_step == 1 + 2 + 4
    epochs = {row["step"]: row["epoch"] for row in whole.state.log_history if "loss" in row}
    assert epochs == {2: 1.25, 4: 2.25, 6: 2.75}
    assert [state(tmp_path / "whole", step)["epoch"] for step in (1, 2, 3, 7)] == [1, 1.25, 2, 3]
    folder = tmp_path / "whole" / "instructions"
    assert [path.name for path in sorted(folder.iterdir())] == [f"iteration_{i}.jsonl" for i in (1, 2, 3)]
    assert set(whole.train_dataset.to_dataset()["iteration"]) == {1, 2, 3}
    for step, num_done in steps.items():
        again = tmp_path / f"again-{step}"
        shutil.copytree(tmp_path / "whole" / f"checkpoint-{step}", again / f"checkpoint-{step}")
        for number in range(1, num_done + 1):  # files of iterations that the checkpoint does not hold
            (again / "instructions").mkdir(exist_ok=True)
            shutil.copy(folder / f"iteration_{number}.jsonl", again / "instructions")
        early(again, regenerate=regenerate).train(resume_from_checkpoint=True)
        assert differences(tmp_path / "whole", again, 7) == []

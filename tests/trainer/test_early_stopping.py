"""What is measured in evaluation steers Transformers' own early stopping and its choice of the best checkpoint."""

import pytest
from transformers import AutoModelForCausalLM, EarlyStoppingCallback, TrainerCallback

from serl_trl import MajorityVoteReward, SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, equal, parameters, seeds, snapshots


WORTH = {1: 0.5, 2: 0.9, 3: 0.7, 4: 0.6}  # after how many steps


def worth(completions, trainer_state, **kwargs):
    """In evaluation; it is not trained on."""
    return [WORTH.get(trainer_state.global_step, 0.0)] * len(completions)


class Recorder(TrainerCallback):
    def __init__(self):
        self.evaluations = []

    def on_evaluate(self, args, state, control, **kwargs):
        self.evaluations.append(kwargs["metrics"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of at most six steps, with its parameters after each, and what its callbacks were told."""
    args = SeRLConfig(
        str(tmp_path_factory.mktemp("run")),
        **SETTINGS
        | {
            "num_train_epochs": 3,
            "save_strategy": "steps",
            "save_steps": 1,
            "eval_strategy": "steps",
            "eval_steps": 1,
        },
        per_device_eval_batch_size=8,
        reward_weights=[1.0, 0.0],
        load_best_model_at_end=True,
        metric_for_best_model="eval_rewards/worth/mean",
    )
    recorder = Recorder()
    run = SeRLTrainer(
        str(CHECKPOINT),
        [MajorityVoteReward(), worth],
        args,
        seeds(),
        eval_dataset=seeds(4),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2), recorder],
    )
    passed = snapshots(run)
    run.train()
    return run, passed, recorder.evaluations


@pytest.mark.slow
def test_it_stops_when_the_metric_has_not_risen_for_long_enough(run):
    trainer, passed, _ = run
    assert trainer.state.global_step == len(passed) == 4


@pytest.mark.slow
def test_the_best_model_is_there_at_the_end(run):
    trainer, passed, _ = run
    best = f"{trainer.args.output_dir}/checkpoint-2"
    assert trainer.state.best_model_checkpoint == best
    assert trainer.state.best_metric == pytest.approx(0.9)
    assert equal(parameters(trainer.model), passed[1])
    assert not equal(passed[1], passed[3])
    assert equal(parameters(AutoModelForCausalLM.from_pretrained(best)), passed[1])


@pytest.mark.slow
def test_callbacks_get_what_the_votes_were_like(run):
    _, _, evaluations = run
    assert [metrics["eval_rewards/worth/mean"] for metrics in evaluations] == pytest.approx(list(WORTH.values()))
    for metrics in evaluations:
        assert metrics["eval_reward"] == pytest.approx(metrics["eval_rewards/MajorityVoteReward/mean"])
        assert 0 < metrics["eval_serl/vote/share_mean"] <= 1
        assert 0 <= metrics["eval_serl/diag/label_accuracy"] <= 1

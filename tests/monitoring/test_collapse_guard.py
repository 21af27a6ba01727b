"""Real runs whose every change of mind counts as a collapse, and what the guard does about it."""

import json
import logging
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, TrainerCallback

from guarded_runs import SAVING, guarded
from serl_trl import GroundTruthReward
from serl_trl.checkpoints.checkpoint_files import complete_checkpoints
from serl_trl.monitoring.collapse_guard import CollapseGuard
from serl_trl.monitoring.log_callbacks import EvaluationCallback
from tiny_runs import equal, parameters, seeds, snapshots, trainer


# six epochs of a step on two groups, without instructions
AS_THEY_ARE = {"self_instruct": False, "dataset": seeds(2), "generation_batch_size": 8, "num_train_epochs": 6}
AS_THEY_ARE |= {"gradient_accumulation_steps": 1, "min_vote_share": 0, "max_vote_share": 1}


def alarms(tmp_path):
    return json.loads((tmp_path / "collapse.json").read_text())


def test_it_warns_once_with_evidence_and_trains_on(tmp_path, caplog):
    run, _ = guarded(tmp_path)
    with caplog.at_level(logging.WARNING):
        run.train()
    assert run.state.global_step == 6
    (text,) = [record.message for record in caplog.records if "collapsing" in record.message]
    assert text.startswith("[RANK 0] Step 4: the votes may be collapsing (abandoned): 100.0% of the probes")
    assert "Last seen without a sign at step 2" in text
    assert f"the last checkpoint before is {tmp_path / 'checkpoint-2'}" in text
    record = alarms(tmp_path)
    assert (record["action"], record["restored"]) == ("warn", None)
    ((alarm,),) = [record["alarms"]]
    assert (alarm["step"], alarm["sign"], alarm["healthy_step"]) == (4, "abandoned", 2)
    looks = [row["step"] for row in run.state.log_history if "serl/probe/frac_abandoned" in row]
    assert looks == [1, 2, 3, 4, 5, 6]


def test_it_stops(tmp_path):
    run, _ = guarded(tmp_path, action="stop", **AS_THEY_ARE)
    passed = snapshots(run)
    run.train()
    assert run.state.global_step == 4
    assert equal(parameters(run.model), passed[3])


def test_it_goes_back_to_the_last_checkpoint_without_a_sign(tmp_path, caplog):
    run, _ = guarded(tmp_path, action="restore", **AS_THEY_ARE)
    passed = snapshots(run)
    with caplog.at_level(logging.WARNING):
        run.train()
    assert run.state.global_step == 4
    assert equal(parameters(run.model), passed[1])
    assert not equal(passed[1], passed[3])
    assert f"The policy is that of {tmp_path / 'checkpoint-2'} again" in caplog.text
    assert alarms(tmp_path)["restored"] == "checkpoint-2"
    run.save_model(str(tmp_path / "final"))
    assert equal(parameters(AutoModelForCausalLM.from_pretrained(tmp_path / "final")), passed[1])
    assert run.state.best_model_checkpoint is None


@pytest.mark.parametrize(
    ("limit", "within", "at_the_end"),
    [
        (1, [2, 3], [2, 4]),  # the last look of a step before which there was another without a sign, and the newest
        (2, [2, 3], [2, 4]),
        (3, [1, 2, 3], [2, 3, 4]),
    ],
)
def test_the_healthy_checkpoint_outlives_the_limit(tmp_path, limit, within, at_the_end):
    run, _ = guarded(tmp_path, action="restore", save_total_limit=limit, **AS_THEY_ARE)
    passed, found = snapshots(run), {}

    class Watch(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            found[state.global_step] = [path.name for path in complete_checkpoints(tmp_path)]

    run.add_callback(Watch())
    run.train()
    assert run.state.global_step == 4
    assert found[3] == [f"checkpoint-{step}" for step in within]
    assert [path.name for path in complete_checkpoints(tmp_path)] == [f"checkpoint-{step}" for step in at_the_end]
    assert alarms(tmp_path)["restored"] == "checkpoint-2"
    assert equal(parameters(run.model), passed[1])


@pytest.mark.slow
def test_a_run_without_an_alarm_ends_with_as_many_as_were_asked_for(tmp_path):
    run, _ = guarded(tmp_path, changes_at=99, action="restore", save_total_limit=1, **AS_THEY_ARE)
    run.train()
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-6"]


@pytest.mark.slow
def test_looks_that_are_rarer_than_checkpoints(tmp_path):
    """Looks at 0, 3, 6 and 9, an alarm at the last: both before it are clean, so step 3 is known to be healthy."""
    settings = AS_THEY_ARE | {"num_train_epochs": 9}
    run, guard = guarded(tmp_path, changes_at=9, action="restore", save_total_limit=2, **settings)
    guard.probe_every = 3
    passed = snapshots(run)
    run.train()
    assert alarms(tmp_path)["restored"] == "checkpoint-3"
    assert equal(parameters(run.model), passed[2])


@pytest.mark.parametrize("limit", [1, 2])
def test_the_best_model_does_not_take_its_place(tmp_path, limit):
    """The first checkpoint is the best; with a limit of 1 Transformers removes all others before callbacks go back."""
    args = {"eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True, "save_total_limit": limit}
    args |= {"metric_for_best_model": "eval_rewards/MajorityVoteReward/mean", "per_device_eval_batch_size": 8}
    run, _ = guarded(tmp_path, action="restore", **args, **AS_THEY_ARE, eval_dataset=seeds(2))
    evaluate = run.evaluate
    run.evaluate = lambda *a, **k: evaluate(*a, **k) | {args["metric_for_best_model"]: -run.state.global_step}
    passed = snapshots(run)
    run.train()
    assert alarms(tmp_path)["restored"] == "checkpoint-2"
    assert equal(parameters(run.model), passed[1])
    names = [path.name for path in complete_checkpoints(tmp_path)]
    assert names[:2] == ["checkpoint-1", "checkpoint-2"]


def test_without_a_checkpoint_of_then_it_says_so(tmp_path, caplog):
    run, _ = guarded(tmp_path, changes_at=2, action="restore", **AS_THEY_ARE)
    passed = snapshots(run)
    with caplog.at_level(logging.WARNING):
        run.train()
    assert equal(parameters(run.model), passed[1])
    assert "there is no checkpoint of then" in caplog.text
    assert "the policy stays as it is" in caplog.text


@pytest.mark.slow
def test_watching_changes_nothing(tmp_path):
    plain = trainer(tmp_path / "plain", **SAVING | {"num_train_epochs": 1})
    plain.train()
    run, _ = guarded(tmp_path / "guarded", changes_at=99, num_train_epochs=1)
    run.train()
    assert equal(parameters(plain.model), parameters(run.model))
    assert not (tmp_path / "guarded" / "collapse.json").exists()


def test_a_resumed_run_remembers_its_probes_and_alarms(tmp_path, caplog):
    whole, guard = guarded(tmp_path / "whole", changes_at=3, **AS_THEY_ARE)
    whole.train()
    expected = [row for row in whole.state.log_history if "serl/probe/frac_abandoned" in row]
    state = guard.probes.state_dict()
    checkpoint = str(tmp_path / "whole" / "checkpoint-4")
    resumed, guard = guarded(tmp_path / "whole", changes_at=3, **AS_THEY_ARE)
    caplog.clear()
    resumed.train(resume_from_checkpoint=checkpoint)
    looks = [row for row in resumed.state.log_history if "serl/probe/frac_abandoned" in row]
    names = ("step", "serl/probe/frac_abandoned", "serl/probe/frac_top_answer", "serl/probe/length_tokens")
    told, expected = ([[row[name] for name in names] for row in rows] for rows in (looks, expected))
    assert told == expected
    assert [row[0] for row in told] == [1, 2, 3, 4, 5, 6]
    assert guard.probes.state_dict() == state
    assert [alarm["step"] for alarm in guard.alarms] == [3]
    assert not [record for record in caplog.records if "collapsing" in record.message]  # it was told


def scored(run):
    """Logs scores at every step, as a measurement of the policy does."""
    report = type("Report", (), {"scores": lambda self: {"greedy pass@1": type("Score", (), {"mean": 0.5})}})
    return EvaluationCallback(run, {"": report}, 1)


LOGS: list[dict[str, Any]] = [
    {"logging_steps": 1},
    {"logging_steps": 10},
    {"logging_strategy": "epoch"},
    {"logging_strategy": "no"},
    {"logging_steps": 2, "scored": True},
]


def watched(tmp_path, is_scored=False, resume=None, **settings):
    """What a guard has seen and told in a run of six steps whose looks are every second step."""
    settings = {**AS_THEY_ARE, "save_steps": 3, **settings}
    run, guard = guarded(tmp_path, changes_at=6, **settings)
    guard.probe_every = 2
    if is_scored:
        run.add_callback(scored(run))
    run.train(resume_from_checkpoint=resume)
    return guard.signs.state_dict(), guard.alarms


@pytest.mark.slow
def test_what_is_logged_and_when_does_not_matter(tmp_path):
    """The guard reads the votes of each step and each look itself: all is the same, to the last bit."""
    found = []
    for i, settings in enumerate(LOGS):
        is_scored = settings.pop("scored", False)
        found.append(watched(tmp_path / str(i), is_scored, **settings))
    signs, told = found[0]
    assert [(alarm["step"], alarm["sign"], alarm["healthy_step"]) for alarm in told] == [(6, "abandoned", 2)]
    assert signs["_step"] == 6
    assert set(signs["_smooth"]) == {"excess_flips", "frac_kept"}
    assert found[1:] == found[:1] * 4
    resumed = tmp_path / "1" / "checkpoint-3"  # what waits for its log is not read twice
    assert watched(tmp_path / "resumed", resume=str(resumed), logging_steps=10) == found[0]


def test_a_guard_joins_a_run_that_began_without_one(tmp_path, caplog):
    trainer(tmp_path, **SAVING | AS_THEY_ARE | {"max_steps": 2}).train()
    run, guard = guarded(tmp_path, changes_at=99, **AS_THEY_ARE, max_steps=4)
    with caplog.at_level(logging.WARNING):
        run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert "was written without probes, which begin anew" in caplog.text
    assert guard.probes.is_begun
    assert run.state.global_step == 4


def test_prompts_of_a_dataset_are_probes_too(tmp_path):
    run = trainer(tmp_path, self_instruct=False)
    guard = CollapseGuard(run, num_probes=3)
    assert len(guard.probes.prompts) == 3
    assert all(prompt in run.train_dataset["prompt"] for prompt in guard.probes.prompts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "hope"}, "action is 'hope'; choose from warn, stop, restore"),
        ({"num_probes": -1}, "num_probes is -1"),
        ({"probe_every": 0}, "probe_every 0"),
        ({"action": "restore"}, "save_strategy='no' saves none"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        CollapseGuard(trainer(tmp_path), **arguments)


def test_without_votes_there_is_nothing_to_watch(tmp_path):
    run = trainer(tmp_path, reward_funcs=GroundTruthReward(), self_instruct=False)
    with pytest.raises(ValueError, match="no reward of the trainer is a MajorityVoteReward"):
        CollapseGuard(run)

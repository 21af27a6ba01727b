"""Real runs whose every change of mind counts as a collapse, and what the guard does about it."""

import json
import logging

import pytest
from transformers import AutoModelForCausalLM, TrainerCallback

from serl_trl import GroundTruthReward
from serl_trl.collapse import CollapseLimits
from serl_trl.collapse_guard import CollapseGuard
from test_serl_trainer import equal, parameters, snapshots, trainer


TOUCHY = CollapseLimits(abandoned=1e-9)
SAVING = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": None, "num_train_epochs": 3}


class Steps(TrainerCallback):
    """Makes the first looks equal, and the later ones of another mind, whatever the policy says."""

    def __init__(self, guard, changes_at):
        self.probes, self.look, self.changes_at = guard.probes, guard.probes.look, changes_at
        self.probes.look = self.scripted
        self.step = 0

    def on_step_begin(self, args, state, control, **kwargs):
        self.step = state.global_step + 1

    def scripted(self):
        moved = float(self.step >= self.changes_at)
        return self.look() | {"serl/probe/frac_settled": 1.0, "serl/probe/frac_abandoned": moved}


def guarded(tmp_path, changes_at=4, action="warn", **settings):
    run = trainer(tmp_path, **SAVING | {"num_instructions": 8, **settings})
    guard = CollapseGuard(run, action, num_probes=4, probe_every=1, limits=TOUCHY)
    run.add_callback(Steps(guard, changes_at))
    run.add_callback(guard)
    return run, guard


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
    run, _ = guarded(tmp_path, action="stop")
    passed = snapshots(run)
    run.train()
    assert run.state.global_step == 4
    assert equal(parameters(run.model), passed[3])


def test_it_goes_back_to_the_last_checkpoint_without_a_sign(tmp_path, caplog):
    run, _ = guarded(tmp_path, action="restore")
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


def test_without_a_checkpoint_of_then_it_says_so(tmp_path, caplog):
    run, _ = guarded(tmp_path, changes_at=2, action="restore")
    passed = snapshots(run)
    with caplog.at_level(logging.WARNING):
        run.train()
    assert equal(parameters(run.model), passed[1])
    assert "there is no checkpoint of then" in caplog.text
    assert "the policy stays as it is" in caplog.text


def test_watching_changes_nothing(tmp_path):
    plain = trainer(tmp_path / "plain", **SAVING)
    plain.train()
    run, _ = guarded(tmp_path / "guarded", changes_at=99)
    run.train()
    assert equal(parameters(plain.model), parameters(run.model))
    assert not (tmp_path / "guarded" / "collapse.json").exists()


def test_a_resumed_run_remembers_its_probes_and_alarms(tmp_path, caplog):
    whole, guard = guarded(tmp_path / "whole", changes_at=3)
    whole.train()
    expected = [row for row in whole.state.log_history if "serl/probe/frac_abandoned" in row]
    state = guard.probes.state_dict()
    checkpoint = str(tmp_path / "whole" / "checkpoint-4")
    resumed, guard = guarded(tmp_path / "whole", changes_at=3)
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


def test_a_guard_joins_a_run_that_began_without_one(tmp_path, caplog):
    trainer(tmp_path, **SAVING | {"max_steps": 2}).train()
    run, guard = guarded(tmp_path, changes_at=99, max_steps=4)
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

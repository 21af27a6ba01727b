"""Runs under a guard whose votes collapse at a step that a test chooses."""

from typing import Any

from transformers import TrainerCallback

from serl_trl.monitoring.collapse_guard import CollapseGuard
from serl_trl.monitoring.collapse_signs import CollapseLimits
from tiny_runs import trainer


OTHERS: dict[str, Any] = dict.fromkeys(("excess_flips", "top_answer", "no_answer", "length_ratio", "frac_kept"))
TOUCHY = CollapseLimits(abandoned=1e-9, **OTHERS)
SAVING: dict[str, Any] = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": None, "num_train_epochs": 3}


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


def guarded(tmp_path, changes_at=4, action="warn", eval_dataset=None, **settings):
    run = trainer(tmp_path, eval_dataset=eval_dataset, **SAVING | {"num_instructions": 8, **settings})
    guard = CollapseGuard(run, action, num_probes=4, probe_every=1, limits=TOUCHY)
    run.add_callback(Steps(guard, changes_at))
    run.add_callback(guard)
    return run, guard

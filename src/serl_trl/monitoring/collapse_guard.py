"""`CollapseGuard`: warns of a run whose votes collapse, and can end it and go back to where they had not."""

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.logging import get_logger
from transformers import TrainerCallback, TrainingArguments

from ..checkpoints import complete_checkpoints
from ..runtime import written_whole
from .collapse_signs import STEP_METRICS, CollapseLimits, CollapseSigns, Sign
from .probes import Probes
from .watched_policy import WatchedPolicy


ACTIONS = ("warn", "stop", "restore")
ALARM_FILE = "collapse.json"

logger = get_logger(__name__)


class CollapseGuard(TrainerCallback):
    """
    Watches a run without labels for the collapse of its votes.

    Every `probe_every` optimiser steps the policy answers the same few prompts ([`Probes`], drawn from the seeds);
    these answers and the votes of each step are read for signs ([`CollapseSigns`]), whatever is logged and whenever. A
    sign is a warning with its evidence, and a line in `collapse.json` in the run folder. The checkpoint that the guard
    would go back to is kept beyond `save_total_limit` until a later one is known to be healthy. In our
    runs healthy training gave no sign, 9 of 10 collapses gave one in time, and a fall within three looks was seen late
    (docs/lab-notes.md). A warning is no proof: read completions.

    Args:
        trainer ([`SeRLTrainer`]): The trainer, which must have a [`MajorityVoteReward`].
        action (`str`, *optional*, defaults to `"warn"`):
            What else happens at the first sign: `"warn"` nothing, `"stop"` ends the run after this step, `"restore"` ends it
            and loads the last checkpoint that was saved while all was well (the files of the run stay as they are).
        num_probes (`int`, *optional*, defaults to `128`):
            Prompts that are answered again and again, or as many as there are; 0 for none.
        probe_every (`int`, *optional*, defaults to `5`): Optimiser steps between two looks.
        limits ([`CollapseLimits`], *optional*): When a sign is one; by default [`CollapseLimits.for_probes`].

    Raises:
        ValueError: For another action, numbers out of range, a trainer without votes, and `"restore"` without checkpoints.

    Example:

    ```python
    trainer.add_callback(CollapseGuard(trainer, action="restore"))
    ```
    """

    may_begin_anew = True  # resumed from a checkpoint without this state

    def __init__(
        self,
        trainer: WatchedPolicy,
        action: str = "warn",
        num_probes: int = 128,
        probe_every: int = 5,
        limits: CollapseLimits | None = None,
    ) -> None:
        check_action(action, trainer.args)
        if num_probes < 0 or probe_every < 1:
            raise ValueError(
                f"num_probes is {num_probes} and probe_every {probe_every}; they must be at least 0 and at least 1."
            )
        if trainer.vote_reward is None:
            raise ValueError("CollapseGuard watches votes, and no reward of the trainer is a MajorityVoteReward.")
        self.trainer, self.action, self.probe_every = trainer, action, probe_every
        prompts = trainer.seed_prompts()
        random.Random(trainer.args.seed).shuffle(prompts)
        self.probes = Probes(trainer, prompts[:num_probes]) if num_probes and prompts else None
        self.limits = limits or CollapseLimits.for_probes(len(self.probes.prompts) if self.probes else 0)
        self.signs = CollapseSigns(self.limits)
        self.alarms: list[dict[str, Any]] = []
        self._read: dict[str, tuple[list[float], int]] = {}  # of each metric the trainer's list, and how much is read
        self._is_resumed = self._is_watching = False
        if self.probes is not None:
            trainer.shared_states["probes"] = self.probes
        trainer.shared_states["guard"] = self
        trainer.kept_checkpoints.append(self.checkpoints_to_keep)

    def on_train_begin(self, args, state, control, **kwargs):
        if not self._is_resumed:
            self.signs, self.alarms = CollapseSigns(self.limits), []
        is_resumed, self._is_resumed, self._is_watching = self._is_resumed, False, True
        self._metrics_of_step()  # what waits for a log was seen before the checkpoint
        self._file()
        if self.probes is not None and not (is_resumed and self.probes.is_begun):
            self._judge({**self._look(), "step": state.global_step})

    def on_step_end(self, args, state, control, **kwargs):
        row = self._metrics_of_step()
        if self.probes is not None and state.global_step % self.probe_every == 0:
            row |= self._look()
        self._judge({**row, "step": state.global_step})
        if self.alarms and self.action != "warn":
            control.should_training_stop = True

    def on_train_end(self, args, state, control, **kwargs):
        self._is_watching = False
        if not self.alarms or self.action != "restore":
            return
        healthy = self._healthy_checkpoint()
        if healthy is None:
            logger.warning("There is no checkpoint of a step without a sign; the policy stays as it is.")
            return
        self.trainer.load_policy(healthy)
        logger.warning(
            f"The policy is that of {healthy} again, the last checkpoint saved while its votes showed no sign."
        )
        self._file(restored=healthy.name)

    def checkpoints_to_keep(self) -> list[Path]:
        """
        What must not be rotated away: where the guard would go back to, now and after one more look without a sign.

        After an alarm it is the one from before the alarm, to the end of the run and beyond.
        """
        if self.alarms:
            steps = [self.alarms[0]["healthy_step"]]
        else:
            steps = [self.signs.healthy_step, self.signs.clean_step] if self._is_watching else []
        return [path for step in steps if (path := self._checkpoint_of(step)) is not None]

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold beside the probes, as data that JSON can hold."""
        return {"signs": self.signs.state_dict(), "alarms": list(self.alarms)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned; what was told by then is not told again."""
        self.signs = CollapseSigns(self.limits)
        self.signs.load_state_dict(state["signs"])
        self.alarms, self._is_resumed = list(state["alarms"]), True

    def _look(self) -> dict[str, float]:
        """Probes the policy; what is found is logged with the step."""
        found = self.probes.look() if self.probes is not None else {}
        self.trainer.record(found)
        return found

    def _metrics_of_step(self) -> dict[str, float]:
        """
        What the trainer has measured since this was last asked, averaged as its log does.

        The trainer keeps a list of each metric, which grows until there is a log and is another list after it: what is
        new is what lies beyond the part that was read, or all of a list that was not seen before.
        """
        row = {}
        for name in STEP_METRICS:
            values = self.trainer.pending_metrics(name)
            former, num_read = self._read.get(name, ([], 0))
            new = [value for value in values[num_read if former is values else 0 :] if not math.isnan(value)]
            self._read[name] = values, len(values)
            if new:
                row[name] = sum(new) / len(new)
        return row

    def _judge(self, row: dict[str, Any]) -> None:
        """Reads what was seen at a step, and warns of signs that were not seen before."""
        known = {alarm["sign"] for alarm in self.alarms}
        signs: list[Sign] = [sign for sign in self.signs.update(row) if sign.name not in known]
        step, healthy_step = row["step"], self.signs.healthy_step
        for sign in signs:
            self.alarms.append(
                {"step": step, "sign": sign.name, "evidence": sign.evidence, "healthy_step": healthy_step}
            )
            self._file()
            healthy = self._healthy_checkpoint()
            logger.warning(
                f"Step {step}: the votes may be collapsing ({sign.name}): {sign.evidence}. Last seen without a "
                f"sign at step {healthy_step}; "
                f"{f'the last checkpoint before is {healthy}' if healthy else 'there is no checkpoint of then'}. Read "
                "some completions. A lower learning rate, a larger beta, the band of vote shares (0.2 to 0.8) and more prompts a "
                "step help."
            )

    def _healthy_checkpoint(self) -> Path | None:
        """The last complete checkpoint of a step at which all was well, as far as it was seen at the first alarm."""
        return self._checkpoint_of(self.alarms[0]["healthy_step"]) if self.alarms else None

    def _checkpoint_of(self, step: int | None) -> Path | None:
        """The last complete checkpoint of a step or before."""
        saved = complete_checkpoints(self.trainer.args.output_dir)
        found = [path for path in saved if step is not None and int(path.name.rpartition("-")[2]) <= step]
        return found[-1] if found else None

    def _file(self, restored: str | None = None) -> None:
        """Writes `collapse.json`, from the main process: alarms, and the checkpoint that the run went back to."""
        path = Path(self.trainer.args.output_dir) / ALARM_FILE
        if not self.trainer.is_world_process_zero():
            return
        if not self.alarms:
            path.unlink(missing_ok=True)
            return
        record = {"action": self.action, "alarms": self.alarms, "restored": restored}
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def check_action(action: str, args: TrainingArguments) -> None:
    """Raises a ValueError for an action of [`CollapseGuard`] that there is not, or that the trainer's settings do not allow."""
    if action not in ACTIONS:
        raise ValueError(f"action is {action!r}; choose from {', '.join(ACTIONS)}.")
    if action == "restore" and args.save_strategy == "no":
        raise ValueError(
            "action='restore' goes back to a checkpoint, and save_strategy='no' saves none; set it to 'steps'."
        )

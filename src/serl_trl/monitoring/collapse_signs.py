"""Signs, without any label, that a policy agrees with itself ever more and is right ever less."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple


ENOUGH_SETTLED = 0.25  # of the probes, for it to tell anything how many of them are abandoned
ABANDONED = 0.02  # of 128 probes two and a half
TOLD = {  # how unanimous votes are, in the evidence of every sign
    "serl/vote/share_mean": "the vote share went from {:.2f} to {:.2f}",
    "serl/vote/num_answers_mean": "different answers a prompt from {:.1f} to {:.1f}",
    "entropy": "entropy from {:.2f} to {:.2f}",
}
STEP_METRICS = (*TOLD, "serl/vote/frac_flipped", "serl/vote/frac_seen_before", "serl/gate/frac_kept")
SLACK = 1.25  # times the limit on abandoned probes, that a look may have more than the lowest so far for nothing


# What a [`CollapseSigns`] remembers.
STATE = ("healthy_step", "clean_step", "_first", "_least_abandoned", "_excess_abandoned", "_smooth", "_step")


class Sign(NamedTuple):
    """A sign of collapse: its name, a field of [`CollapseLimits`], and what was seen, in words."""

    name: str
    evidence: str


@dataclass(frozen=True)
class CollapseLimits:
    """
    When a sign is one. `None` leaves a sign out.

    Args:
        abandoned (`float`, *optional*, defaults to `0.02`):
            Limit of a cumulative sum (Page 1954). Each look adds the share of the probes that give up an answer they
            were settled on ([`~serl_trl.monitoring.probes.Probes`]), less the lowest share so far and 1.25 times this
            limit. The sum lies between 0 and twice the limit. It is read where a quarter of the probes are settled.
        excess_flips (`float`, *optional*, defaults to `0.15`):
            Share of the prompts met again whose winner has changed, less the share of votes that did not go to the
            winner. It is high where votes are sure and change all the same. Averaged over `smoothing_steps`.
        top_answer (`float`, *optional*, defaults to `0.25`):
            Share of the probes that have one and the same answer, beyond what it was at first.
        no_answer (`float`, *optional*, defaults to `0.5`):
            Share of the probes' completions without an answer, beyond what it was at first.
        length_ratio (`float`, *optional*, defaults to `4.0`):
            Mean length of the probes' completions over that of the first look, or the inverse, whichever is larger.
        frac_kept (`float`, *optional*, defaults to `0.02`):
            Share of groups that the gate lets through, at most, averaged over `smoothing_steps`.
        smoothing_steps (`int`, *optional*, defaults to `4`): Optimiser steps that noisy values are averaged over.
    """

    abandoned: float | None = ABANDONED
    excess_flips: float | None = 0.15
    top_answer: float | None = 0.25
    no_answer: float | None = 0.5
    length_ratio: float | None = 4.0
    frac_kept: float | None = 0.02
    smoothing_steps: int = 4

    @classmethod
    def for_probes(cls, num_probes: int) -> "CollapseLimits":
        """
        The defaults, with an `abandoned` of at least 2.5 probes, as a share of `num_probes`.

        Example:

        ```python
        >>> [CollapseLimits.for_probes(num).abandoned for num in (20, 128)]
        [0.125, 0.02]

        ```
        """
        return cls(abandoned=max(ABANDONED, 2.5 / num_probes)) if num_probes else cls()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"{field.name} is {value}; a limit is above 0, or None to leave the sign out.")
        if self.length_ratio is not None and self.length_ratio <= 1:
            raise ValueError(f"length_ratio is {self.length_ratio}; it is above 1, or None to leave the sign out.")


class CollapseSigns:
    """
    Reads what was seen at the steps of a run, one after another, for signs of collapse.

    Training that goes well makes votes more unanimous, too. A vote share that rises, or entropy and the number of different
    answers that fall, is therefore no sign by itself. It is a sign when the same prompts get other answers meanwhile
    ([`~serl_trl.monitoring.probes.Probes`], or training prompts met again), however sure the votes are. Without probes only
    training prompts and the gate are read.

    A row holds the metrics of a step or of a look. Rows of a log that averages over steps can be read, too; they show signs
    later and fewer of them. Rows without such metrics (scores of an evaluation, the end of a run) count as no step.

    Args:
        limits ([`CollapseLimits`], *optional*): When a sign is one.

    Example:

    ```python
    >>> signs = CollapseSigns(CollapseLimits(excess_flips=0.15, smoothing_steps=4))
    >>> for step, flipped in ((10, 0.1), (20, 0.6)):
    ...     found = signs.update({"step": step, "serl/vote/share_mean": 0.9, "serl/vote/frac_flipped": flipped})
    >>> found[0].name
    'excess_flips'
    >>> found[0].evidence.split(" (")[0]
    '60% of the prompts met again have another winner, and 10% of the votes go astray'

    ```
    """

    def __init__(self, limits: CollapseLimits | None = None) -> None:
        self.limits = limits or CollapseLimits()
        self.healthy_step: int | None = None  # of the last look that was without a sign, as was the next
        self.clean_step: int | None = None  # of the last look without a sign
        self._first: dict[str, float] = {}  # the first row that had each metric
        self._least_abandoned = 1.0  # the lowest share so far
        self._excess_abandoned = 0.0  # what looks had beyond that and the slack, added up
        self._smooth: dict[str, float] = {}
        self._step = 0

    def update(self, log: Mapping[str, Any]) -> list[Sign]:
        """
        Takes one more row.

        Args:
            log (`Mapping[str, Any]`): The metrics, under the names of the logs, with `step`.

        Returns:
            `list[Sign]`: The signs that this row shows.
        """
        row = {name: float(value) for name, value in log.items() if isinstance(value, int | float)}
        if not any(name in STEP_METRICS or name.startswith("serl/probe/") for name in row):
            return []
        num_steps, self._step = max(row["step"] - self._step, 1.0), int(row["step"])
        for name, value in row.items():
            self._first.setdefault(name, value)
        agreement = self._agreement(row)
        signs = [
            Sign(name, "; ".join(filter(None, (evidence, agreement))))
            for name, evidence in (*self._signs_of_probes(row), *self._signs_of_steps(row, num_steps))
        ]
        is_look = "serl/probe/frac_abandoned" in row
        if signs:
            self.clean_step = None
        elif is_look or ("serl/vote/share_mean" in row and "serl/probe/frac_abandoned" not in self._first):
            if self.clean_step is not None:
                self.healthy_step = self.clean_step
            self.clean_step = self._step
        return signs

    def _signs_of_probes(self, row: Mapping[str, float]) -> list[Sign]:
        limits, found = self.limits, list[Sign]()
        if "serl/probe/frac_abandoned" not in row:
            return found
        names = ("frac_top_answer", "frac_no_answer", "length_tokens")
        top, silent, length = (row[f"serl/probe/{name}"] for name in names)
        first_top, first_silent, first_length = (self._first[f"serl/probe/{name}"] for name in names)
        if row["serl/probe/frac_settled"] >= ENOUGH_SETTLED:
            abandoned = row["serl/probe/frac_abandoned"]
            self._least_abandoned = least = min(self._least_abandoned, abandoned)
            if limits.abandoned is not None:
                excess = self._excess_abandoned + abandoned - least - SLACK * limits.abandoned
                self._excess_abandoned = excess = min(max(excess, 0.0), 2 * limits.abandoned)  # to be well again soon
                if excess > limits.abandoned:
                    told = f"{abandoned:.1%} of the probes gave up an answer they were settled on, {least:.1%} at best"
                    lately = f"lately {100 * excess:.1f} points too many, limit: {100 * limits.abandoned:.1f}"
                    found.append(Sign("abandoned", f"{told} ({lately})"))
        if limits.top_answer is not None and top - first_top > limits.top_answer:
            told = f"{top:.0%} of the probes have one and the same answer, {first_top:.0%} at first"
            found.append(Sign("top_answer", f"{told} (limit: {100 * limits.top_answer:.0f} points more)"))
        if limits.no_answer is not None and silent - first_silent > limits.no_answer:
            told = f"{silent:.0%} of the probes have no answer, {first_silent:.0%} at first"
            found.append(Sign("no_answer", f"{told} (limit: {100 * limits.no_answer:.0f} points more)"))
        ratio = max(first_length, length) / max(min(first_length, length), 1.0)
        if limits.length_ratio is not None and ratio > limits.length_ratio:
            told = f"the answers to the probes have {length:.1f} tokens, {first_length:.1f} at first"
            found.append(Sign("length_ratio", f"{told} (limit: a factor of {limits.length_ratio:g})"))
        return found

    def _signs_of_steps(self, row: Mapping[str, float], num_steps: float) -> list[Sign]:
        limits, found = self.limits, list[Sign]()
        if "serl/vote/frac_flipped" in row:
            flipped, astray = row["serl/vote/frac_flipped"], 1 - row["serl/vote/share_mean"]
            weight = num_steps * row.get("serl/vote/frac_seen_before", 1.0)
            excess = self._smoothed("excess_flips", flipped - astray, weight, start=0.0)
            if limits.excess_flips is not None and excess > limits.excess_flips:
                told = f"{flipped:.0%} of the prompts met again have another winner, and {astray:.0%} of the votes go astray"
                found.append(
                    Sign("excess_flips", f"{told} (limit: {100 * limits.excess_flips:.0f} points more, lately)")
                )
        if "serl/gate/frac_kept" in row:
            kept = self._smoothed("frac_kept", row["serl/gate/frac_kept"], num_steps, start=1.0)
            if limits.frac_kept is not None and kept < limits.frac_kept:
                told = f"lately the gate lets {kept:.1%} of the groups through"
                found.append(Sign("frac_kept", f"{told} (limit: {limits.frac_kept:.1%})"))
        return found

    def _smoothed(self, name: str, value: float, num_steps: float, start: float) -> float:
        """An exponential mean over optimiser steps, of `start` before there were any."""
        weight = 1 - math.exp(-num_steps / self.limits.smoothing_steps)
        self._smooth[name] = self._smooth.get(name, start) * (1 - weight) + value * weight
        return self._smooth[name]

    def _agreement(self, row: Mapping[str, float]) -> str:
        """How unanimous votes were at first and are, in words."""
        return ", ".join(text.format(self._first[name], row[name]) for name, text in TOLD.items() if name in row)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold, as data that JSON can hold."""
        return {name: copy.copy(getattr(self, name)) for name in STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` returned."""
        for name in STATE:
            setattr(self, name, copy.copy(state[name]))

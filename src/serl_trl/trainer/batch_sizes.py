"""Batch sizes that fit each other: those that the user has not set are chosen so that a generation batch holds whole groups."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .serl_config import SeRLConfig


# of a generation batch; the user sets two of them, or fewer
_SIZES = ("generation_batch_size", "steps_per_generation", "per_device_train_batch_size")
_ALWAYS_THERE = ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")


def given_sizes(args: "SeRLConfig") -> dict[str, int]:
    """
    The sizes that the user has set: those that are not the default.

    Args:
        args ([`SeRLConfig`]): Before TRL has filled in what follows from other settings.

    Raises:
        ValueError: If one is no size, or `generation_batch_size` and `steps_per_generation` are both set.
    """
    for name in dict.fromkeys((*_SIZES, *_ALWAYS_THERE, "num_generations", "num_generations_eval")):
        value, smallest = getattr(args, name), 2 if name == "num_generations" else 1
        is_missing = value is None and name not in _ALWAYS_THERE and name != "num_generations"
        if not is_missing and not (isinstance(value, int) and value >= smallest):
            raise ValueError(f"{name} is {value}; it is a whole number, at least {smallest}.")
    names = (*_SIZES, "per_device_eval_batch_size")
    given = {name: getattr(args, name) for name in names if getattr(args, name) != _default_of(args, name)}
    if {"generation_batch_size", "steps_per_generation"} <= given.keys():
        raise ValueError(
            f"generation_batch_size={args.generation_batch_size} and steps_per_generation={args.steps_per_generation} say the "
            "same in two units; set one of them."
        )
    return given


def fit_sizes(args: "SeRLConfig", given: dict[str, int], target: int, num_prompts: int | None = None) -> None:
    """
    Sets the sizes that the user has not set, so that they fit the others and the number of processes.

    Args:
        args ([`SeRLConfig`]): Whose sizes are set, once it knows the number of processes.
        given (`dict[str, int]`): What the user has set, from [`given_sizes`].
        target (`int`): Completions of a generation batch for each process, if all is as by default.
        num_prompts (`int`, *optional*): Prompts of an epoch, of which a generation batch cannot hold more.

    Raises:
        ValueError: If what is set does not fit, with sizes that would.
    """
    assert args.num_generations is not None  # `given_sizes` has refused it
    name = "per_device_train_batch_size"
    sizes = BatchSizes(
        args.num_generations,
        args.world_size,
        given.get(name, _default_of(args, name)),
        name in given or args.deepspeed is not None,  # a configuration of DeepSpeed has taken the size over by now
        args.gradient_accumulation_steps,
        given.get("generation_batch_size"),
        given.get("steps_per_generation"),
    )
    try:
        per_device, steps = sizes.fitted(target, num_prompts)
    except PromptsLackingError as error:
        what = "num_instructions is" if args.self_instruct else "The number of prompts is"
        raise ValueError(f"{what} {num_prompts}, {error}") from None
    args.per_device_train_batch_size, args.steps_per_generation = per_device, steps
    args.generation_batch_size = per_device * args.world_size * steps
    name = "per_device_eval_batch_size"
    args.per_device_eval_batch_size = given.get(name, _default_of(args, name))
    if args.do_eval and args.eval_strategy != "no":
        group = args.num_generations_eval or args.num_generations
        args.per_device_eval_batch_size = fitted_eval_size(
            args.per_device_eval_batch_size, name in given, group, args.world_size
        )


def _default_of(args: "SeRLConfig", name: str) -> Any:
    return args.__dataclass_fields__[name].default


class PromptsLackingError(ValueError):
    """There are fewer prompts than a generation batch holds; the message goes on after their number."""


@dataclass(frozen=True)
class BatchSizes:
    """
    What the user has set of a generation batch, and what is to be had.

    A generation batch is `per_device` x `num_processes` x steps completions; it must hold whole groups of `num_generations`.

    Args:
        num_generations (`int`): Completions of a group, G.
        num_processes (`int`): Processes.
        per_device (`int`): Completions of a forward pass on a process, by default or as set.
        is_per_device_set (`bool`): Whether the user has set that; else it may become another.
        accumulation (`int`): Forward passes per optimiser step.
        generation_batch (`int`, *optional*): Completions of a generation batch, if the user has set them.
        steps (`int`, *optional*): Forward passes per generation batch, if the user has set them.

    Example:

    ```python
    >>> BatchSizes(num_generations=12, num_processes=1, per_device=8, is_per_device_set=False, accumulation=2).fitted(256)
    (8, 30)

    ```
    """

    num_generations: int
    num_processes: int
    per_device: int
    is_per_device_set: bool
    accumulation: int
    generation_batch: int | None = None
    steps: int | None = None

    def fitted(self, target: int, max_prompts: int | None = None) -> tuple[int, int]:
        """
        Completions of a forward pass on a process, and forward passes per generation batch.

        Sizes that fit as they are stay; a smaller forward pass is preferred to a larger one, and the generation batch comes
        as close to the target as it can.

        Args:
            target (`int`): Completions of a generation batch that are wanted of each process, where none are set.
            max_prompts (`int`, *optional*): Most prompts of a generation batch.

        Raises:
            PromptsLackingError: If every generation batch that what is set allows holds more prompts.
            ValueError: If what is set does not fit, with sizes that would.
        """
        for per_device in self._per_device_choices():
            for steps in self._steps_choices(per_device, target, max_prompts):
                num_completions = per_device * self.num_processes * steps
                is_whole = num_completions % self.num_generations == 0
                if is_whole and (max_prompts is None or num_completions <= max_prompts * self.num_generations):
                    return per_device, steps
        if max_prompts is None:
            raise ValueError(self._misfit())
        self.fitted(target)  # raises what is wrong whatever the number of prompts is
        raise PromptsLackingError(self._too_large())

    def _per_device_choices(self) -> Iterator[int]:
        """As it is; then, unless it is set, smaller ones, and larger ones up to a size that always fits."""
        yield self.per_device
        if not self.is_per_device_set:
            yield from range(self.per_device - 1, 0, -1)
            yield from range(self.per_device + 1, self.num_generations + 1)

    def _steps_choices(self, per_device: int, target: int, max_prompts: int | None) -> Iterator[int]:
        if self.steps is not None:
            yield self.steps
        elif self.generation_batch is not None:
            steps, rest = divmod(self.generation_batch, per_device * self.num_processes)
            yield from [] if rest else [steps]
        else:
            yield max(1, target // per_device)
            whole = self.num_generations // math.gcd(self.num_generations, per_device * self.num_processes)
            for unit in (
                math.lcm(whole, self.accumulation),
                whole,
            ):  # best, optimiser steps do not straddle batches either
                most = math.inf
                if max_prompts is not None:
                    most = max_prompts * self.num_generations // (per_device * self.num_processes * unit)
                number = min(max(1, round(target / per_device / unit)), most)
                yield from [int(number) * unit] if number else []

    def _smallest(self) -> int:
        """Completions of the smallest generation batch that there is."""
        if self.generation_batch is not None:
            return self.generation_batch
        if self.steps is not None:
            sizes = (per_device * self.num_processes * self.steps for per_device in self._per_device_choices())
            return min(size for size in sizes if size % self.num_generations == 0)
        per_pass = (self.per_device if self.is_per_device_set else 1) * self.num_processes
        return math.lcm(self.num_generations, per_pass)

    # What is said -----------------------------------------------------------------------------------------------------

    @property
    def _processes(self) -> str:
        return f"{self.num_processes} process{'es' if self.num_processes > 1 else ''}"

    def _misfit(self) -> str:
        groups = f"whole groups of num_generations={self.num_generations}"
        forward = f"per_device_train_batch_size={self.per_device} on {self._processes}"
        per_pass = (self.per_device if self.is_per_device_set else 1) * self.num_processes
        if self.generation_batch is not None:
            part = forward if self.is_per_device_set else self._processes
            fitting = _around(self.generation_batch, math.lcm(self.num_generations, per_pass))
            return f"generation_batch_size={self.generation_batch} does not divide into {groups} and into {part}; take {fitting}."
        assert self.steps is not None  # without either of them a size is always found
        num_completions = self.steps * self.per_device * self.num_processes
        fitting = _around(self.steps, self.num_generations // math.gcd(self.num_generations, per_pass))
        return (
            f"steps_per_generation={self.steps} with {forward} makes a generation batch of {num_completions}, which does not "
            f"divide into {groups}; take steps_per_generation {fitting}."
        )

    def _too_large(self) -> str:
        found = {
            "generation_batch_size": self.generation_batch,
            "steps_per_generation": self.steps,
            "per_device_train_batch_size": self.per_device if self.is_per_device_set else None,
        }
        given = [f"{name}={value}" for name, value in found.items() if value is not None]
        smallest = self._smallest() // self.num_generations
        sizes = ", ".join([*given, f"num_generations={self.num_generations}, {self._processes}"])
        remedy = f"lower {' or '.join(name.split('=')[0] for name in given)}" if given else "use fewer processes"
        return (
            f"less than the {smallest} prompts of one generation batch ({sizes}), so that there would be no step; raise it, or "
            f"{remedy}."
        )


def fitted_eval_size(per_device: int, is_set: bool, num_generations: int, num_processes: int) -> int:
    """
    Completions of a process in an evaluation step, so that all processes together hold whole groups.

    Args:
        per_device (`int`): By default or as set.
        is_set (`bool`): Whether the user has set that; else it may become another.
        num_generations (`int`): Completions of a group in evaluation.
        num_processes (`int`): Processes.

    Raises:
        ValueError: If it is set and does not fit.

    Example:

    ```python
    >>> fitted_eval_size(8, False, num_generations=16, num_processes=1)
    16

    ```
    """
    unit = num_generations // math.gcd(num_generations, num_processes)
    if per_device % unit == 0:
        return per_device
    if is_set:
        raise ValueError(
            f"per_device_eval_batch_size={per_device} on {num_processes} process{'es' if num_processes > 1 else ''} does not "
            f"divide into whole groups of {num_generations} completions; take {_around(per_device, unit)}."
        )
    return max(1, round(per_device / unit)) * unit


def _around(size: int, unit: int) -> str:
    """The multiples of a unit below and above a size, in words."""
    below = size // unit * unit
    return f"{below} or {below + unit}" if below else f"{unit}"

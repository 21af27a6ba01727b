"""Attributes and modes that are set for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    import torch


@contextmanager
def temporarily_set(target: object, **values: object) -> Iterator[None]:
    """Sets attributes for the length of a block."""
    before = {name: getattr(target, name) for name in values}
    try:
        for name, value in values.items():
            setattr(target, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(target, name, value)


@contextmanager
def model_mode(model: "torch.nn.Module", *, training: bool) -> Iterator[None]:
    """Puts a model in train or eval mode for the length of a block; each module gets the mode back that it had."""
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, was_training in modes.items():
            module.training = was_training

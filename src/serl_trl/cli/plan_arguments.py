"""For which machines `--dry_run` plans: its flags, a configuration of accelerate, the memory of a device."""

import argparse
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .named_files import accelerate_config_file


if TYPE_CHECKING:
    from ..trainer import SeRLConfig


@dataclass
class PlanArguments:
    """What is planned, and for which machines."""

    dry_run: bool = field(
        default=False,
        metadata={"help": "Print the plan (steps, rollouts, tokens, memory, communication) and train nothing."},
    )
    plan_for: str | None = field(
        default=None,
        metadata={
            "help": "Plan for the processes and the sharding of this configuration of accelerate, a file or a name."
        },
    )
    plan_processes: int | None = field(
        default=None, metadata={"help": "Plan for this many processes instead of those of --plan_for."}
    )
    plan_device_gb: float | None = field(
        default=None,
        metadata={"help": "Memory of a device in GB, such as 24, 48 or 80. Default: that of the one present."},
    )
    plan_prompt_tokens: int | None = field(
        default=None,
        metadata={"help": "Tokens of a prompt. Default: of the longest one given, else 1024 (paper: at most 1024)."},
    )

    def __post_init__(self):
        given = [name for name, value in vars(self).items() if name != "dry_run" and value is not None]
        if given and not self.dry_run:
            raise ValueError(f"--{given[0]} is for a plan only; add --dry_run, or take `serl-trl plan`.")
        for name in ("plan_processes", "plan_device_gb", "plan_prompt_tokens"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"--{name} is {value}; it is a positive number.")


@dataclass(frozen=True)
class Launch:
    """Processes and sharding, of a configuration of accelerate or of the processes that are running."""

    num_processes: int
    sharding: str
    is_optimiser_elsewhere: bool = False

    @classmethod
    def of_file(cls, path: str) -> "Launch":
        """As a YAML file for `accelerate launch` has it; `path` may be the name of one that comes with serl_trl."""
        import yaml

        path = accelerate_config_file(path, "--plan_for")
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(settings, dict) or "distributed_type" not in settings:
            raise ValueError(f"{path} has no 'distributed_type'; give a configuration of accelerate.")
        kind, number = str(settings["distributed_type"]), int(settings.get("num_processes") or 1)
        if kind == "DEEPSPEED":
            deepspeed = settings.get("deepspeed_config") or {}
            elsewhere = deepspeed.get("offload_optimizer_device") not in (None, "none")
            return cls(number, _known(f"zero{deepspeed.get('zero_stage')}", path), elsewhere)
        if kind == "FSDP":
            version = (settings.get("fsdp_config") or {}).get("fsdp_version")
            return cls(number, _known(f"fsdp{version}", path))
        return cls(number, "ddp")

    @classmethod
    def present(cls) -> "Launch":
        """As accelerate has started this process."""
        from accelerate import PartialState

        number, origin = PartialState().num_processes, "The configuration of accelerate"
        if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
            elsewhere = os.environ.get("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "none") != "none"
            return cls(number, _known(f"zero{os.environ.get('ACCELERATE_DEEPSPEED_ZERO_STAGE')}", origin), elsewhere)
        if os.environ.get("ACCELERATE_USE_FSDP") == "true":
            return cls(number, _known(f"fsdp{os.environ.get('FSDP_VERSION')}", origin))
        return cls(number, "ddp")


def _known(sharding: str, origin: str) -> str:
    from .plan_sizes import SHARDINGS  # late, as PyTorch and accelerate are: `serl-trl plan --help` needs no plan

    if sharding not in SHARDINGS:
        raise ValueError(f"{origin} has the sharding {sharding}; a plan knows {', '.join(SHARDINGS)}.")
    return sharding


def launch_of(plan_args: PlanArguments) -> Launch:
    """The launch that is planned for."""
    launch = Launch.of_file(plan_args.plan_for) if plan_args.plan_for else Launch.present()
    if plan_args.plan_processes is None:
        return launch
    return Launch(plan_args.plan_processes, launch.sharding, launch.is_optimiser_elsewhere)


def planned(config: Any, flags: list[str]) -> Any:
    """A configuration class, for the processes that the flags plan for: batches are divided among them as it is made."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--plan_for")
    parser.add_argument("--plan_processes", type=int)
    found, _ = parser.parse_known_args(flags)
    if found.plan_for is None and found.plan_processes is None:
        return config
    launch = launch_of(PlanArguments(dry_run=True, plan_for=found.plan_for, plan_processes=found.plan_processes))

    @dataclass
    class PlannedConfig(config):
        __doc__ = config.__doc__
        world_size = property(lambda self: launch.num_processes)

    return PlannedConfig


def device_bytes(plan_args: PlanArguments, training_args: "SeRLConfig", num_processes: int) -> float:
    """Memory of a device; of a CPU a process has its part."""
    if plan_args.plan_device_gb is not None:
        return plan_args.plan_device_gb * 1e9
    import torch

    if torch.cuda.is_available() and not training_args.use_cpu:
        return float(torch.cuda.get_device_properties(0).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / num_processes

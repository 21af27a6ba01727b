"""Says what this machine can do, and what would stop a run, with the remedy; the exit code is then 1.

    serl-trl doctor
    serl-trl doctor --use_vllm --push_to_hub --output_dir runs/mine      a run of that kind

It looks at versions of packages against those this release was tested with, devices and bfloat16, the range of vLLM
that TRL takes, the login at the Hugging Face Hub, free disk and write permission. With HF_HUB_OFFLINE=1 it asks
nothing of the network.
"""

import argparse
import importlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from .named_files import FOLDER
from .parsers import LineParser


CONSTRAINTS = FOLDER / "constraints.txt"  # the tested versions; constraints.txt of a clone is a link to it
IMPORTED = ("torch", "transformers", "accelerate", "datasets", "peft", "trl", "serl_trl.trainer")
MIN_FREE_GB = 1.0  # the laboratory needs 0.1; below this even its checkpoints are in danger
USUAL_FREE_GB = 20.0  # a model of 0.5 B, its download and two checkpoints with AdamW's state in float32
HUB_TIMEOUT_S = 10.0
CPU_FLAGS = ("amx_bf16", "amx_tile", "avx512_bf16", "avx512f", "avx2")


class Finding(NamedTuple):
    """What one look found: `"ok"`, a `"note"`, or a `"fail"`, which would stop a run. The text holds the remedy."""

    status: str
    text: str


# Packages ----------------------------------------------------------------------------------------------------------


def tested_versions() -> dict[str, str]:
    """Versions of constraints.txt by normalised name."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {normalised(name): version for name, version in pairs}


def normalised(name: str) -> str:
    """A package's name as indexes compare it: `rouge_score` and `rouge-score` are the same."""
    return name.lower().replace("_", "-").replace(".", "-")


def package_findings() -> Iterator[Finding]:
    """Each package that serl_trl needs, against what it takes and what was tested."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    tested, as_tested = tested_versions(), []
    try:
        needed = [Requirement(text) for text in importlib.metadata.requires("serl_trl") or []]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("note", "serl_trl itself is not installed, so versions are not compared: pip install serl_trl")
        return
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue  # of an extra
        name, wanted = requirement.name, tested.get(normalised(requirement.name))
        remedy = f"pip install '{name}=={wanted}'" if wanted else f"pip install '{requirement}'"
        try:
            found = Version(importlib.metadata.version(name)).public
        except importlib.metadata.PackageNotFoundError:
            yield Finding("fail", f"{name} is not installed: {remedy}")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield Finding("fail", f"{name} {found} is installed, and serl_trl takes {requirement.specifier}: {remedy}")
        elif wanted and found != wanted:
            yield Finding("note", f"{name} {found} is admitted; tested was {wanted}: {remedy}")
        else:
            as_tested.append(f"{name} {found}")
    if as_tested:
        yield Finding("ok", f"versions as tested: {', '.join(as_tested)}")


def import_findings() -> Iterator[Finding]:
    """Whether what a run imports can be imported; an installation may be half there, or of another machine."""
    for name in IMPORTED:
        try:
            importlib.import_module(name)
        except Exception as error:  # shared libraries fail in many ways
            package = name.partition(".")[0]
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            remedy = f"pip install --force-reinstall --constraint {CONSTRAINTS} {package}"
            yield Finding("fail", f"{name} cannot be imported ({reason}): {remedy}")
            return
    yield Finding("ok", f"imported: {', '.join(IMPORTED)}")


# Devices -----------------------------------------------------------------------------------------------------------


def device_findings() -> Iterator[Finding]:
    """CPU, GPUs, and what computes in bfloat16."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = [flag for flag in CPU_FLAGS if flag in cpu_flags()]
    yield Finding(
        "ok", f"CPU: {cores} cores for this process of {os.cpu_count()}; {', '.join(flags) or 'flags not known'}"
    )
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(i)
        yield Finding("ok", f"GPU {i}: {properties.name}, {properties.total_memory / 1e9:.0f} GB")
    if torch.cuda.is_available():
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        yield (
            Finding("ok", "bfloat16: yes")
            if has_bf16
            else Finding("note", "bfloat16: this GPU has none, so runs train in float32; --fp16 true halves that")
        )
    elif torch.backends.mps.is_available():
        yield Finding("ok", "GPU: Apple's (MPS); not tried with serl_trl")
    else:
        driver = shutil.which("nvidia-smi") is not None
        yield Finding(
            "note",
            "GPU: this PyTorch sees none, and nvidia-smi is here: install its CUDA build (https://pytorch.org)"
            if driver
            else "GPU: none; add --use_cpu true to runs, and take small models",
        )
        fast = "in hardware" if {"amx_bf16", "avx512_bf16"} & set(flags) else "slowly, without hardware for it"
        yield Finding("ok", f"bfloat16: the CPU computes in it {fast}")


def cpu_flags() -> set[str]:
    """Instruction sets of the CPU, as Linux names them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def vllm_findings(*, is_needed: bool) -> Iterator[Finding]:
    """vLLM against the range that TRL takes; it is needed only for `--use_vllm true`."""
    from ..trainer import installed_vllm, supported_vllm

    is_there, version = installed_vllm()
    specifier = supported_vllm().specifier
    if is_there and (version is None or specifier.contains(version.partition("+")[0], prereleases=True)):
        yield Finding("ok", f"vLLM: {version or 'without a version'}; TRL takes {specifier}")
        return
    found = f"version {version} is installed" if is_there else "not installed"
    use = "--use_vllm needs it" if is_needed else "only --use_vllm needs it"
    remedy = f"pip install 'vllm{specifier}'"
    yield Finding("fail" if is_needed else "note", f"vLLM: {found}; {use}, in TRL's range {specifier}: {remedy}")


# The Hub and the disk ----------------------------------------------------------------------------------------------


def hub_findings(*, is_needed: bool) -> Iterator[Finding]:
    """The login at the Hub; it is needed to push, and to load gated models."""
    from huggingface_hub import constants, get_token, whoami
    from huggingface_hub.errors import HfHubHTTPError

    worse = "fail" if is_needed else "note"
    if constants.HF_HUB_OFFLINE:
        remedy = ": unset HF_HUB_OFFLINE to push" if is_needed else ""
        yield Finding(worse, f"Hub: offline by HF_HUB_OFFLINE; only models and data on this disk can be used{remedy}")
        return
    if get_token() is None:
        yield Finding(worse, "Hub: not logged in; pushes and gated models need it: hf auth login")
        return
    pool = ThreadPoolExecutor(1)
    try:
        name = pool.submit(whoami).result(HUB_TIMEOUT_S)["name"]
        yield Finding("ok", f"Hub: logged in as {name} at {constants.ENDPOINT}")
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            yield Finding("fail", "Hub: the token is not accepted, and every download would fail: hf auth login")
        else:
            yield Finding(
                worse, f"Hub: it answers with an error ({_line(error)}): try again later, or set HF_HUB_OFFLINE=1"
            )
    except Exception as error:  # no route, no time, no name: the client raises a dozen kinds
        yield Finding(worse, f"Hub: not reached ({_line(error)}): check the network, or set HF_HUB_OFFLINE=1")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def disk_findings(output_dir: str) -> Iterator[Finding]:
    """Free space and write permission, where runs and where downloads go."""
    from huggingface_hub import constants

    for what, flag, place in (
        ("runs", "another --output_dir", Path(output_dir)),
        ("downloads", "HF_HOME=FOLDER", Path(constants.HF_HUB_CACHE)),
    ):
        folder = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"serl-trl doctor")
        except OSError as error:
            yield Finding("fail", f"{what}: {folder} cannot be written to ({error.strerror}): choose {flag}")
            continue
        free = shutil.disk_usage(folder).free / 1e9
        text = f"{what}: {free:.1f} GB free in {folder}"
        if free < MIN_FREE_GB:
            yield Finding("fail", f"{text}, less than {MIN_FREE_GB:g} GB: make room, or choose {flag}")
        elif free < USUAL_FREE_GB:
            yield Finding("note", f"{text}; enough for the laboratory. `serl-trl plan` says what a checkpoint takes")
        else:
            yield Finding("ok", text)


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


# The command -------------------------------------------------------------------------------------------------------


def findings(args: argparse.Namespace) -> Iterator[Finding]:
    """Everything, as it is found; a look that fails itself is a failure."""
    looks: list[Callable[[], Iterator[Finding]]] = [
        package_findings,
        import_findings,
        device_findings,
        lambda: vllm_findings(is_needed=args.use_vllm),
        lambda: hub_findings(is_needed=args.push_to_hub),
        lambda: disk_findings(args.output_dir),
    ]
    for look in looks:
        try:
            yield from look()
        except ImportError as error:  # what is missing has been told above
            yield Finding("fail", f"not looked at further ({_line(error)}): install what is missing above")


def main(flags: list[str]) -> None:
    """Prints a line for each finding, and ends with exit code 1 if one of them would stop a run."""
    parser = LineParser("doctor", __doc__)
    parser.add_argument("--output_dir", default="runs", help="where runs are to go; default: runs")
    parser.add_argument("--use_vllm", action="store_true", help="runs are to generate with vLLM")
    parser.add_argument("--push_to_hub", action="store_true", help="runs are to be pushed to the Hub")
    args = parser.parse_args(flags)
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"serl_trl {importlib.import_module('serl_trl').__version__}, Python {version}, {sys.platform}")
    num_failed = 0
    for finding in findings(args):
        num_failed += finding.status == "fail"
        print(f"{finding.status:<5} {finding.text}", flush=True)
    if num_failed:
        print(f"A run would fail: {num_failed} of the lines above say why, and what helps.")
        sys.exit(1)
    print("A run can start. Try `serl-trl demo --max_steps 2`.")


if __name__ == "__main__":
    main(sys.argv[1:])

"""
The parts of accelerator_check.py, each in a process of its own.

    python accelerator_parts.py PART DEVICE MODE FOLDER
"""

import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


HERE = Path(__file__).parent
LOSS_LIMIT = 1e-4  # relative; float32 has 6e-8, and a sum over a batch some ten times that
# how a run is made repeatable: not at all; by PyTorch as far as it can; by Trainer, with an error where PyTorch cannot
SETTINGS = ("nothing", "warn_only", "full_determinism")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
NO_TF32 = {"NVIDIA_TF32_OVERRIDE": "0", "TRITON_F32_DEFAULT": "ieee"}


class NotRunError(Exception):
    """Says why a part cannot run here."""


class Findings:
    """
    Where a part runs, and what it finds, on file at once: a part that is ended has not lost it.

    Args:
        device (`str`): `"cuda"` or `"cpu"`.
        is_quick (`bool`): Whether it is the script that is tried.
        folder (`Path`): For its files.
        part (`str`): Its name.
    """

    def __init__(self, device: str, is_quick: bool, folder: Path, part: str) -> None:
        self.device, self.is_quick, self.folder = device, is_quick, folder / part
        self.file = folder / f"{part}.jsonl"
        self.folder.mkdir()

    def _write(self, line: dict[str, Any]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def note(self, figures: dict[str, Any]) -> None:
        """Notes figures by their names in the table."""
        self._write({"figures": figures})

    def check(self, does_hold: bool, failure: str) -> None:
        """Notes a failure unless something holds."""
        if not does_hold:
            self._write({"failure": failure})

    def refuse(self, reason: str) -> None:
        """Notes why the part cannot run."""
        self._write({"not_run": reason})


# Processes ---------------------------------------------------------------------------------------------------------


def environment(device: str, **more: str) -> dict[str, str]:
    """Of a training: it sees one device, for Trainer would train on several at once; on the CPU it sees none."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] if device == "cuda" else ""
    return {**os.environ, **OFFLINE, "CUDA_VISIBLE_DEVICES": seen, **more}


class Training:
    """
    A training in a process that has started, with a log of its own.

    Args:
        to ([`Findings`]): Of which part it is.
        name (`str`): Of this one; its files are `NAME.json`, `NAME.log`.
        device (`str`): `"cuda"` or `"cpu"`.
        command (`list[str]`): What Python runs.
        **variables: Of its environment.
    """

    def __init__(self, to: Findings, name: str, device: str, command: list[str], **variables: str) -> None:
        self.name, self.result, self.log = name, to.folder / f"{name}.json", to.folder / f"{name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], env=environment(device, **variables), stdout=log, stderr=log
            )

    @classmethod
    def of_arm(
        cls, to: Findings, name: str, device: str, arm: str, settings: dict[str, Any], **variables: str
    ) -> "Training":
        """One of `accelerator_arms.py`, in the folder NAME unless the settings have another."""
        given = {"device": device, "folder": str(to.folder / name), **settings}
        command = [str(HERE / "accelerator_arms.py"), arm, json.dumps(given), str(to.folder / f"{name}.json")]
        return cls(to, name, device, command, **variables)

    def wait(self) -> None:
        """Waits for its end; raises a RuntimeError with the last line of its log if it failed."""
        if code := self.process.wait():
            text = self.log.read_text(errors="replace").rstrip()
            print(f"-- {self.log.name}\n{text[-2000:]}", flush=True)
            raise RuntimeError(f"the training {self.name} ended with exit code {code}: {text.rpartition(chr(10))[2]}")

    def found(self) -> dict[str, Any]:
        """What it found, once it is done."""
        self.wait()
        return json.loads(self.result.read_text())


# Parts -------------------------------------------------------------------------------------------------------------


def device(to: Findings) -> None:
    """What is here."""
    import torch
    from bench_generation import matrix_rate

    names = ("torch", "transformers", "trl", "peft", "accelerate", "triton", "flash-attn")
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    to.note({"versions": versions, "Python": platform.python_version(), "CPU cores": os.cpu_count()})
    place = torch.device(to.device)
    if to.device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        facts, (free, total) = torch.cuda.get_device_properties(place), torch.cuda.mem_get_info(place)
        to.note({"device": facts.name, "compute capability": f"{facts.major}.{facts.minor}"})
        to.note({"memory, GiB": total / 2**30, "free, GiB": free / 2**30})
        to.note({"CUDA of PyTorch": torch.version.cuda, "cuDNN": torch.backends.cudnn.version()})
        to.note({"C compiler": shutil.which("cc") or shutil.which("gcc") or "none, which Triton needs"})
        to.check(torch.cuda.is_bf16_supported(including_emulation=False), "it has no bfloat16")
    for dtype in (torch.bfloat16, torch.float32):
        to.note({f"{str(dtype)[6:]}, TFLOP/s": matrix_rate(dtype, place) / 1e12})
    a, b = (torch.randn(512, 512, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    exact = a.double() @ b.double()
    error = float(((a.to(place) @ b.to(place)).cpu() - exact).norm() / exact.norm())
    to.note({"error of a product in float32": error})
    to.check(error < 1e-5, f"a product in float32 is {error:.1e} off, relative to one in float64")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def parity(to: Findings) -> None:
    """The same completions on both, in float32."""
    places = {"device": to.device, "CPU": "cpu"}
    arms = {where: Training.of_arm(to, where, kind, "parity", {}, **NO_TF32) for where, kind in places.items()}
    found = {where: arm.found() for where, arm in arms.items()}
    for name in found["CPU"]:
        ours, theirs = found["device"][name], found["CPU"][name]
        to.note({f"{name} on the CPU": theirs, f"{name} on the device": ours})
        if name in ("loss", "grad_norm"):
            apart = [abs(a - b) / max(abs(a), abs(b), 1e-30) for a, b in zip(ours, theirs, strict=True)]
            to.note({f"{name}, relative difference": apart})
            do_agree = len(apart) == 3 and all(number < LOSS_LIMIT for number in apart)  # which nan is not
            to.check(do_agree, f"{name} differs by {apart}, relative; at most {LOSS_LIMIT:g} is rounding")


def curve(to: Findings) -> None:
    """The command `serl-trl train` on both at once; the device in bfloat16."""
    less = {"generation_batch_size": 128, "gradient_accumulation_steps": 2, "num_instructions": 48, "max_steps": 6}
    less |= {"num_eval_problems": 96, "num_eval_samples": 4, "learning_rate": 3e-4}
    more = {"max_steps": 10, "num_eval_problems": 256, "num_eval_samples": 8}
    trainings = {}
    for where, kind in (("device", to.device), ("CPU", "cpu")):
        settings = (less if to.is_quick else more) | {"output_dir": str(to.folder / where)}
        settings |= {"use_cpu": kind == "cpu", "bf16": where == "device", "num_interim_problems": 0}
        settings |= {"collapse_guard": "off", "disable_tqdm": True}
        flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        command = ["-m", "serl_trl.cli", "train", "--config", "tiny_cpu", *flags]
        trainings[where] = Training(to, where, kind, command)
    for where, training in trainings.items():
        training.wait()
        record = json.loads((to.folder / where / "evaluation.json").read_text())
        before, after = (record[when]["sampled pass@1"] for when in ("before", "after"))
        logs = [json.loads(line) for line in (to.folder / where / "metrics.jsonl").read_text().splitlines()]
        votes = [log["serl/vote/share_mean"] for log in logs if "serl/vote/share_mean" in log]
        to.note({f"{where}: sampled pass@1 before (95 %)": before, f"{where}: after": after})
        to.note({f"{where}: mean vote share, by steps": votes, f"{where}: seconds": record["train_seconds"]})
        to.check(after[0] > before[0], f"on the {where} sampled pass@1 goes from {before[0]:.1%} to {after[0]:.1%}")


def lora(to: Findings, model: str) -> None:
    """Two steps of a pre-trained model, without gradient checkpointing and with it."""
    from serl_trl.cli.train_inputs import path_of

    try:
        path_of(model, may_fetch=False)
    except ValueError as error:
        raise NotRunError(str(error)) from None
    for word in ("off", "on"):
        settings = {"model": model, "is_recomputed": word == "on", "is_quick": to.is_quick}
        found = Training.of_arm(to, word, to.device, "lora", settings).found()
        forecast = max(found["forecast_mib"].values())
        to.note({
            f"checkpointing {word}: seconds of steps": found["seconds of steps"],
            f"checkpointing {word}: peak, MiB": found["peak_mib"],
            f"checkpointing {word}: forecast, MiB": forecast,
            f"checkpointing {word}: forecast / peak": forecast / found["peak_mib"],
            f"checkpointing {word}: reserved by the allocator, MiB": found["reserved_mib"],
            f"checkpointing {word}: forecast by phase, MiB": ", ".join(
                f"{name} {value:.0f}" for name, value in found["forecast_mib"].items()
            ),
            f"checkpointing {word}: loss": found["loss"],
            f"checkpointing {word}: gradient norm": found["grad_norm"],
        })  # fmt: skip
        numbers = [*found["loss"], *found["grad_norm"]]
        to.check(
            len(numbers) == 4 and all(map(math.isfinite, numbers)), f"a loss or gradient is not finite: {numbers}"
        )


def smollm2(to: Findings) -> None:
    """SmolLM2-135M-Instruct; the built-in model where the script is tried."""
    lora(to, "tiny" if to.is_quick else "smollm2")


def qwen(to: Findings) -> None:
    """Qwen2.5-Coder-1.5B-Instruct."""
    if to.is_quick:
        raise NotRunError("--quick is for the built-in model alone")
    lora(to, "qwen2.5-coder-1.5b")


def generation(to: Findings) -> None:
    """16 prompts of 16 completions each, by both ways."""
    import torch
    from bench_generation import MODELS, measure, request
    from transformers import GenerationConfig

    from serl_trl.cli.train_inputs import path_of

    torch.backends.cuda.matmul.allow_tf32 = False
    asked: list[tuple[str, str, int]] = [("builtin", "float32", 128), ("builtin", "bfloat16", 128)]
    num_prompts, repeats = (4, 1) if to.is_quick else (16, 3)
    try:
        path_of("smollm2", may_fetch=False)
        asked += [] if to.is_quick else [("smollm2", "bfloat16", length) for length in (128, 512)]
    except ValueError as error:
        to.note({"SmolLM2": f"not run: {error}"})
    for name, kind, length in asked:
        dtype = getattr(torch, kind)
        model = MODELS[name](dtype).to(to.device).eval()
        model.generation_config = GenerationConfig()
        measure(model, request(model, length, 2, 2), 1, dtype)  # the first call pays for what is loaded late
        found = measure(model, request(model, length, num_prompts, num_prompts), repeats, dtype)
        to.note({
            f"{name}, {kind}, prompts of {length}: tokens a second, generate": found["written"] / found["generate_s"],
            f"{name}, {kind}, prompts of {length}: tokens a second, ours": found["written"] / found["ours_s"],
            f"{name}, {kind}, prompts of {length}: times as fast (least, most)": list(found["ratio"]),
            f"{name}, {kind}, prompts of {length}: peak, MiB": [found["generate_mib"], found["ours_mib"]],
            f"{name}, {kind}, prompts of {length}: share of equal tokens": found["frac_equal"],
        })  # fmt: skip
        if kind == "float32":  # in bfloat16 rounding alone draws other tokens, and all after them are others
            to.check(found["frac_equal"] > 0.9, f"in float32 only {found['frac_equal']:.1%} of the tokens are equal")


def resume(to: Findings) -> None:
    """Killed and resumed against left alone, with what makes a run repeatable and without, all at once."""
    settings = SETTINGS[1:2] if to.is_quick else SETTINGS
    whole, killed = ({s: _resume_arm(to, s, role) for s in settings} for role in ("whole", "killed"))
    outcomes = {setting: _after_the_kill(to, setting, killed[setting]) for setting in settings}
    resumed = {s: _resume_arm(to, s, "resumed") for s in settings if not outcomes[s]}
    for setting, training in resumed.items():
        outcomes[setting] = _outcome(to, setting, whole[setting], training)
    for setting, outcome in outcomes.items():
        to.note({f"made repeatable by {setting}": outcome})
    to.check("equal" in outcomes.values(), f"no setting ends with the same bits: {outcomes}")


def _resume_arm(to: Findings, setting: str, role: str) -> Training:
    run = to.folder / setting / ("whole" if role == "whole" else "killed")
    given = {"role": role, "setting": setting, "folder": str(run)}
    variables = {} if setting == "nothing" else {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return Training.of_arm(to, f"{setting}_{role}", to.device, "resume", given, **variables)


def _after_the_kill(to: Findings, setting: str, killed: Training) -> str:
    """What is wrong with a run that was to be killed; empty if nothing is."""
    try:
        killed.wait()
    except RuntimeError as error:
        if killed.process.returncode != -signal.SIGKILL:
            return str(error)
    saved = sorted(path.name for path in (to.folder / setting / "killed").glob("checkpoint-*"))
    return "" if saved == ["checkpoint-2"] else f"the killed run left {', '.join(saved) or 'no checkpoint'}"


def _outcome(to: Findings, setting: str, whole: Training, resumed: Training) -> str:
    """Whether both have come to the same end."""
    try:
        losses = whole.found()["loss"], resumed.found()["loss"]
    except RuntimeError as error:
        return str(error)
    if losses[0][2:] != losses[1][-2:]:
        return f"losses differ: {losses[0]} and {losses[1]}"
    return difference(*(to.folder / setting / role / "checkpoint-4" for role in ("whole", "killed")))


def difference(first: Path, second: Path) -> str:
    """What differs between the weights and the optimiser's moments of two checkpoints; "equal" if no bit does."""
    import torch
    from safetensors.torch import load_file

    def bits(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
        return tensor.dtype, tensor.shape, tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()

    tensors = []
    for folder in (first, second):
        moments = torch.load(folder / "optimizer.pt", map_location="cpu")["state"]
        of_optimiser = {f"{i}.{name}": value for i, state in moments.items() for name, value in state.items()}
        tensors.append(load_file(folder / "model.safetensors") | of_optimiser)
    if tensors[0].keys() != tensors[1].keys():
        return "they hold different tensors"
    apart = [name for name, value in tensors[0].items() if bits(value) != bits(tensors[1][name])]
    return f"{len(apart)} of {len(tensors[0])} tensors differ, such as {apart[0]}" if apart else "equal"


RUNS = {f.__name__: f for f in (device, parity, smollm2, generation, resume, curve, qwen)}


def main(part: str, device: str, mode: str, folder: str) -> None:
    os.environ.update(environment(device))
    to = Findings(device, mode == "quick", Path(folder), part)
    begun = time.monotonic()
    try:
        RUNS[part](to)
    except NotRunError as reason:
        to.refuse(str(reason))
    except Exception as error:
        to.check(False, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        raise
    print(f"{part}: {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])

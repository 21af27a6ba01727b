"""The check for accelerators: its processes and its time by hand, and the whole of it on a CPU."""

import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file


ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "accelerator_check.py"


def loaded(name):
    specification = importlib.util.spec_from_file_location(name, SCRIPT.with_name(f"{name}.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


check = loaded("accelerator_check")
parts = loaded("accelerator_parts")

# In the place of the trainings: what they leave, at once. The second loss of the device is off by OFF, relative. The
# run that nothing makes repeatable has another last loss when it is resumed; full determinism ends with an error.
TRAININGS = """
import json, os, signal, sys
from pathlib import Path
name, settings, result = sys.argv[1:]
given = json.loads(settings)
if name == "parity":
    off = float(os.environ["OFF"]) if given["folder"].endswith("device") else 0.0
    found = {"loss": [1.0, 2.0 + 2 * off, 3.0], "grad_norm": [5.0, 6.0, 7.0]}
else:
    if given["setting"] == "full_determinism" and given["role"] == "whole":
        sys.exit("RuntimeError: cumsum is not deterministic")
    Path(given["folder"], "checkpoint-2").mkdir(parents=True, exist_ok=True)
    if given["role"] == "killed" and "IMMORTAL" not in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    is_lost = given["setting"] == "nothing" and given["role"] == "resumed"
    found = {"loss": [1.0, 2.0, 3.0, 4.5 if is_lost else 4.0]}
    Path(given["folder"], "checkpoint-4").mkdir()
Path(result).write_text(json.dumps(found))
"""


def found_by(part, tmp_path, monkeypatch):
    """The figures and failures of a part, whose trainings are those above."""
    (tmp_path / "accelerator_arms.py").write_text(TRAININGS)
    monkeypatch.setattr(parts, "HERE", tmp_path)
    monkeypatch.setattr(parts, "difference", lambda first, second: "equal")
    for name in parts.environment("cpu"):  # `main` sets some of them in this process
        monkeypatch.setenv(name, parts.environment("cpu")[name])
    parts.main(part, "cpu", "whole", str(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / f"{part}.jsonl").read_text().splitlines()]
    figures = {name: value for line in lines for name, value in line.get("figures", {}).items()}
    return figures, [line["failure"] for line in lines if "failure" in line]


def test_a_part_that_hangs_is_ended_and_what_it_found_stays(tmp_path):
    result = tmp_path / "part.jsonl"
    result.write_text(json.dumps({"figures": {"loss": 1.5}}) + "\n")
    record = check.run_part(["sleep", "1000"], 1, result)
    assert record["status"] == "failed"
    assert record["figures"] == {"loss": 1.5}
    assert record["failures"] == ["it was not done after 1 s"]


def test_a_part_that_is_killed_names_the_signal_and_shows_its_log(tmp_path):
    command = ["sh", "-c", "echo out of memory >&2; kill -9 $$"]
    record = check.run_part(command, 600, tmp_path / "part.jsonl")
    assert record["failures"] == ["it was ended by SIGKILL"]
    assert record["log"] == "out of memory\n"


def test_what_a_part_has_started_ends_with_it(tmp_path):
    record = check.run_part(["sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pid"], 600, tmp_path / "part.jsonl")
    assert record["status"] == "holds"
    pid = int((tmp_path / "pid").read_text())
    try:
        psutil.Process(pid).wait(60)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("line", "status"), [({"failure": "the loss is nan"}, "failed"), ({"not_run": "no weights"}, "not run")]
)
def test_a_part_that_ends_well_has_the_status_that_it_says(tmp_path, line, status):
    result = tmp_path / "part.jsonl"
    result.write_text(json.dumps(line) + "\n")
    record = check.run_part(["true"], 600, result)
    assert record["status"] == status
    assert [*record["failures"], record.get("reason")][0] == next(iter(line.values()))


def test_parts_for_which_no_time_is_left_are_not_run(tmp_path, monkeypatch, capsys):
    clock = [0.0]

    def part(command, limit_s, result):
        clock[0] += 50
        return {"status": "holds", "seconds": 50.0, "figures": {}, "failures": []}

    monkeypatch.setattr(check, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(check, "run_part", part)
    output = tmp_path / "found.jsonl"
    options = types.SimpleNamespace(only=None, limit_s=120, device="cpu", quick=True, output=output)
    records = check.run_parts(options, tmp_path)
    assert [record["status"] for record in records] == ["holds"] * 3 + ["not run"] * 4
    assert records[-1]["reason"] == "0 s were left of --limit_s 120"
    assert [json.loads(line) for line in output.read_text().splitlines()] == records


@pytest.mark.parametrize("flags", [[], ["--device", "cuda"]])
def test_without_an_accelerator_it_ends_with_one_line(monkeypatch, capsys, flags):
    monkeypatch.setattr(check, "present_device", lambda: None)
    monkeypatch.setattr(sys, "argv", ["accelerator_check.py", *flags])
    with pytest.raises(SystemExit) as ended:
        check.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: There is no CUDA device here; --device cpu tries the script on the CPU.\n"
    )


@pytest.mark.parametrize("where", ["weights", "moments"])
def test_checkpoints_that_differ_in_a_bit_are_told_apart(tmp_path, where):
    for name, zero in (("first", 0.0), ("second", 0.0), ("third", -0.0)):  # which are equal as numbers
        folder = tmp_path / name
        folder.mkdir()
        weight, moment = (torch.tensor([1.0, zero if where == of else 0.0]) for of in ("weights", "moments"))
        save_file({"w": weight}, folder / "model.safetensors")
        torch.save({"state": {0: {"step": torch.tensor(4.0), "exp_avg": moment}}}, folder / "optimizer.pt")
    assert parts.difference(tmp_path / "first", tmp_path / "second") == "equal"
    named = {"weights": "w", "moments": "0.exp_avg"}[where]
    assert parts.difference(tmp_path / "first", tmp_path / "third") == f"1 of 3 tensors differ, such as {named}"


@pytest.mark.parametrize(("off", "num_failures"), [("5e-5", 0), ("2e-4", 1), ("nan", 1)])
def test_losses_that_differ_by_more_than_rounding_fail(tmp_path, monkeypatch, off, num_failures):
    monkeypatch.setenv("OFF", off)
    figures, failures = found_by("parity", tmp_path, monkeypatch)
    assert len(failures) == num_failures
    assert figures["grad_norm, relative difference"] == [0, 0, 0]
    assert figures["loss on the CPU"] == [1, 2, 3]


def test_resuming_says_which_settings_it_needs(tmp_path, monkeypatch):
    figures, failures = found_by("resume", tmp_path, monkeypatch)
    assert failures == []
    assert figures == {
        "made repeatable by nothing": "losses differ: [1.0, 2.0, 3.0, 4.0] and [1.0, 2.0, 3.0, 4.5]",
        "made repeatable by warn_only": "equal",
        "made repeatable by full_determinism": (
            "the training full_determinism_whole ended with exit code 1: RuntimeError: cumsum is not deterministic"
        ),
    }


def test_a_run_that_was_not_killed_proves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("IMMORTAL", "1")
    figures, failures = found_by("resume", tmp_path, monkeypatch)
    assert set(figures.values()) == {"the killed run left checkpoint-2, checkpoint-4"}
    assert len(failures) == 1


@pytest.mark.slow
@pytest.mark.multiprocess
def test_on_a_cpu_all_parts_hold_with_the_built_in_model(tmp_path):
    """The CPU against itself; the limit is for a machine that hangs."""
    output = tmp_path / "found.jsonl"
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--limit_s", "9600", "--output", str(output)]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
    records = {record["part"]: record for record in map(json.loads, output.read_text().splitlines())}
    assert {name: record["failures"] for name, record in records.items() if record["failures"]} == {}
    assert done.returncode == 0
    assert list(records) == ["device", "parity", "smollm2", "generation", "resume", "curve", "qwen"]
    assert [name for name, record in records.items() if record["status"] != "holds"] == ["qwen"]
    figures = records["parity"]["figures"]
    assert figures["loss on the CPU"] == figures["loss on the device"]
    assert 0 not in figures["loss on the CPU"]  # a relative difference would say nothing
    assert records["resume"]["figures"] == {"made repeatable by warn_only": "equal"}
    assert "checkpointing on: forecast / peak" in records["smollm2"]["figures"]
    assert "curve       holds" in done.stdout

"""What users install: sdist and wheel in a clean environment, and the commands from a folder outside the tree.

It installs everything from the package index, which takes minutes. With SERL_TRL_WHEEL_VENV=FOLDER the environment is kept
there, and a second run only exchanges serl_trl in it.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
NOT_SOURCE = (
    ".git",
    ".venv*",
    ".*_cache",
    ".hypothesis",
    "runs",
    "build",
    "dist",
    "*.egg-info",
    "__pycache__",
    "site",
)
CARRIED = {  # what a command needs besides Python files
    "cli/accelerate_configs/cpu.yaml",
    "cli/accelerate_configs/deepspeed_zero3.yaml",
    "cli/architectures.json",
    "cli/configs/smollm2_prompt.yaml",
    "cli/configs/tiny_cpu.yaml",
    "cli/constraints.txt",
    "cli/packaged_models.json",
    "laboratory/checkpoint/model.safetensors",
    "py.typed",
    "reports/templates/report.html",
    "trainer/templates/model_card.md",
}
DEMO = ["--max_steps", "2", "--num_eval_problems", "16", "--num_eval_samples", "2", "--num_interim_problems", "8"]

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(2400)]


def environment():
    """That of a user: nothing of this tree on the path, and no Hub."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    return kept | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "119"}


def run(folder, *command, code=0):
    result = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=1800
    )
    assert result.returncode == code, f"{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment in which the package alone is still missing."""
    folder = Path(os.environ.get("SERL_TRL_WHEEL_VENV") or tmp_path_factory.mktemp("clean") / "venv")
    found = folder / "bin" / "python"
    if not found.exists():
        run(ROOT, sys.executable, "-m", "venv", folder)
        install = [found, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
        torch = next(
            line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("torch==")
        )
        run(ROOT, *install, torch, "build")
    run(ROOT, found, "-m", "pip", "uninstall", "--quiet", "--yes", "serl_trl")
    return found


@pytest.fixture(scope="module")
def built(python, tmp_path_factory):
    """The sdist of the tree, and the wheel of the sdist."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    run(folder, python, "-m", "build", "--outdir", folder / "dist", folder / "tree")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def bin_folder(python, built, tmp_path_factory):
    """Where the installed commands are."""
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
    run(tmp_path_factory.mktemp("install"), *install, built[1])
    return python.parent


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(scope="module")
def demo(bin_folder, outside):
    return run(outside, bin_folder / "serl-trl", "demo", *DEMO, "--output_dir", "run").stdout


def test_both_archives_carry_what_commands_need(built):
    sdist, wheel = built
    with zipfile.ZipFile(wheel) as file:
        assert {f"serl_trl/{name}" for name in CARRIED} <= set(file.namelist())
        assert not any(name.startswith("tests") for name in file.namelist())
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {f"src/serl_trl/{name}" for name in CARRIED} <= names


def test_it_is_the_wheel_that_runs(bin_folder, outside):
    code = "import serl_trl; print(serl_trl.__file__)"
    assert "site-packages" in run(outside, bin_folder / "python", "-c", code).stdout
    assert run(outside, bin_folder / "serl-trl", "--version").stdout.startswith("serl_trl ")


def test_the_demo_learns_two_steps_and_leaves_a_page(demo, outside):
    assert "after" in demo
    assert "Run folder: run." in demo
    steps = [json.loads(line) for line in (outside / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in steps) == 2
    assert "tiny, trained with SeRL" in (outside / "run" / "report.html").read_text()


def test_the_page_is_drawn_anew(demo, bin_folder, outside):
    (outside / "run" / "report.html").unlink()
    assert "report.html" in run(outside, bin_folder / "serl-trl", "report", "run").stdout
    assert (outside / "run" / "report.html").stat().st_size > 10_000


def test_votes_are_taken(bin_folder, outside):
    rows = [{"prompt": "1+1?", "completion": text} for text in (r"\boxed{2}", "The answer is 2.", r"\boxed{3}")]
    (outside / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (row,) = map(json.loads, run(outside, bin_folder / "serl-trl", "vote", "c.jsonl").stdout.splitlines())
    assert (row["answer"], row["num_votes"]) == ("2", 3)
    run(outside, bin_folder / "serl-trl", "vote", "c.jsonl", "--output_file", "votes.parquet")
    assert (outside / "votes.parquet").read_bytes().startswith(b"PAR1")


def test_the_doctor_finds_the_tested_versions(bin_folder, outside):
    printed = run(outside, bin_folder / "serl-trl", "doctor").stdout
    assert "torch 2." in next(line for line in printed.splitlines() if line.startswith("ok    versions as tested"))
    assert "A run can start." in printed
    assert "fail" in run(outside, bin_folder / "serl-trl", "doctor", "--push_to_hub", code=1).stdout


@pytest.mark.parametrize(
    "flags", [[], ["--config", "qwen2.5_7b", "--seed_file", "later.jsonl", "--plan_for", "fsdp2"]]
)
def test_a_run_is_planned_by_names(bin_folder, outside, flags):
    printed = run(outside, bin_folder / "serl-trl", "plan", *flags).stdout
    assert "nothing is trained or written" in printed
    assert "Memory of a process" in printed

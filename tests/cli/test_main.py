"""`serl-trl` itself: the commands, what is said of unknown ones, and how little `--help` imports."""

import re
import resource
import statistics
import subprocess
import sys
from importlib import import_module

import pytest

import serl_trl
from serl_trl.cli.__main__ import COMMANDS, main


HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "trl.trainer.grpo_trainer",
    "matplotlib",
    "sympy",
    "pyarrow",
)
MAX_HELP_S = 1.0  # of processor time, which other work on the machine does not change


def test_the_overview_lists_every_command(capsys):
    main([])
    alone = capsys.readouterr().out
    main(["--help"])
    assert capsys.readouterr().out == alone
    assert [line.split()[0] for line in alone.splitlines() if line.startswith("  ")] == list(COMMANDS)


def test_the_version_is_the_packages(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"serl_trl {serl_trl.__version__}\n"


@pytest.mark.parametrize(
    ("given", "message"), [("trian", "did you mean `serl-trl train`"), ("xyzzy", "choose from demo, train")]
)
def test_an_unknown_command_is_said_in_one_line(capsys, given, message):
    with pytest.raises(SystemExit) as caught:
        main([given])
    assert caught.value.code == 2
    text = capsys.readouterr().err
    assert re.fullmatch(rf"error: There is no command '{given}'; {message}.*\n", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_main(command):
    assert callable(import_module(f"serl_trl.cli.{COMMANDS[command][0]}").main)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    flags = [sys.executable, "-X", "importtime", "-m", "serl_trl.cli", command, "--help"]
    result = subprocess.run(flags, capture_output=True, text=True, check=True, timeout=60)
    assert f"serl-trl {command}" in result.stdout
    imported = {
        line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time")
    }
    assert "serl_trl.cli" in imported
    assert imported & set(HEAVY) == set()


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_quick(command):
    times = []
    for _ in range(5):
        start = children_s()
        subprocess.run([sys.executable, "-m", "serl_trl.cli", command, "--help"], capture_output=True, check=True)
        times.append(children_s() - start)
    assert 0 < statistics.median(times) < MAX_HELP_S


def children_s():

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_reader_that_goes_away_leaves_no_traceback(tmp_path):
    file = tmp_path / "c.jsonl"
    file.write_text("".join(f'{{"prompt": "{i}", "completion": "{"word " * 400}"}}\n' for i in range(400)))
    command = [sys.executable, "-m", "serl_trl.cli", "vote", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1

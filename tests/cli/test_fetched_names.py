"""Models in packages by their names, in `serl-trl fetch` and in the commands that load a model."""

import json
import shutil
from pathlib import Path

import pytest

from packaged import NAME, install_model
from serl_trl.cli import evaluate, fetch_model, packaged_models, plan
from serl_trl.cli import fetch as command
from serl_trl.cli import train as recipe
from serl_trl.laboratory import CHECKPOINT
from short_recipe import SHORT


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(packaged_models, "READER", "json")  # there wherever tests run
    return folder


@pytest.fixture
def named(site, monkeypatch):
    """`small-model` for every command: packages that are installed and not fetched yet, of the laboratory's model."""
    from transformers import AutoModelForCausalLM

    def copied(model, gguf, folder):
        shutil.copytree(CHECKPOINT, folder, dirs_exist_ok=True)
        AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype="bfloat16").save_pretrained(folder)

    monkeypatch.setattr(fetch_model, "dequantise", copied)
    monkeypatch.setattr(packaged_models, "PACKAGED_MODELS", install_model(site, b"put together, and not looked at"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(site.parent / "home"))
    monkeypatch.chdir(site.parent)
    return site.parent / "home" / "serl_trl" / NAME


@pytest.fixture
def is_uninstalled(named, site):
    shutil.rmtree(site)
    return named


MISSING = rf"The model {NAME} is not fetched yet, and 4 of the 4 packages .*: pip install .*serl-trl fetch {NAME}$"
MEASURED = ["--num_problems", "2", "--num_samples", "0", "--max_new_tokens", "8"]
TRAINED = [*SHORT, "--config", "tiny_cpu", "--max_steps", "1", "--num_interim_problems", "0"]


def test_the_command_says_where_the_model_is_and_how_it_is_used(named, capsys):
    command.main([NAME])
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"Done in 0 s: {named}",
        f"Give --model_name_or_path {NAME}",
    ]
    command.main([NAME])
    assert capsys.readouterr().out.splitlines()[0] == f"{NAME} is there, and all of it as it was written: {named}"
    command.main([NAME, "--output_dir", "mine"])
    assert capsys.readouterr().out.splitlines()[-1] == "Give --model_name_or_path mine"
    assert Path("mine/model.safetensors").read_bytes() == (named / "model.safetensors").read_bytes()


def test_the_command_ends_in_one_line_without_the_packages(is_uninstalled):
    with pytest.raises(SystemExit, match=r"^error: 4 of the 4 packages with Small 1M are not installed: pip install "):
        command.main([NAME])


def test_a_model_that_is_not_known_is_one_line_with_the_names(capsys):
    with pytest.raises(SystemExit):
        command.main(["smollm"])
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert "qwen2.5-coder-1.5b" in told


def test_evaluate_fetches_what_is_installed_once(named, capsys):
    evaluate.main(["--models", NAME, "--output_dir", "first", *MEASURED])
    assert f"Fetching {NAME}" in capsys.readouterr().out
    evaluate.main(["--models", NAME, str(named), "--output_dir", "second", *MEASURED])
    assert "Fetching" not in capsys.readouterr().out
    rows = json.loads(Path("second/results.json").read_text())["results"]
    means = {name: [row["mean"] for row in rows if row["model"] == name] for name in (NAME, str(named))}
    assert means[NAME] == means[str(named)] != []


def test_train_uses_the_folder_by_its_name_in_float32(named):
    recipe.main([*TRAINED, "--model_name_or_path", NAME, "--output_dir", "run"])
    assert json.loads(Path("run/run.json").read_text())["model"] == NAME
    assert json.loads((named / "config.json").read_text())["dtype"] == "bfloat16"
    assert json.loads(Path("run/config.json").read_text())["dtype"] == "float32"


def test_a_plan_reads_no_weights(named):
    flags = ["--config", "tiny_cpu", "--model_name_or_path", NAME]
    with pytest.raises(SystemExit, match=f"^error: The model {NAME} is not fetched yet: serl-trl fetch {NAME}$"):
        plan.main(flags)
    assert not named.exists()
    command.main([NAME])
    (named / "model.safetensors").rename(named.parent / "weights")
    (named / "model.safetensors").write_bytes(b"x" * (named.parent / "weights").stat().st_size)
    plan.main(flags)


@pytest.mark.parametrize(
    ("main", "flags"),
    [
        (evaluate.main, ["--models", NAME]),
        (recipe.main, [*TRAINED, "--model_name_or_path", NAME]),
        (plan.main, ["--config", "tiny_cpu", "--model_name_or_path", NAME]),
    ],
)
def test_a_name_without_packages_is_one_line(is_uninstalled, main, flags):
    with pytest.raises(SystemExit, match=rf"^error: {MISSING}"):
        main(flags)

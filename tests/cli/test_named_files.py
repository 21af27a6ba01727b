"""Files by name, and the flags that take them."""

from pathlib import Path

import pytest
import yaml

from serl_trl.cli import named_files
from serl_trl.cli.named_files import accelerate_config_file, config_file, taken, template_file, with_config_file


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("folder", ["recipes/configs", "accelerate_configs"])
def test_the_old_places_lead_to_the_files_of_the_wheel(folder):
    inside = named_files.FOLDER / Path(folder).name
    assert (ROOT / folder).resolve() == inside.resolve()
    files = sorted(inside.glob("*.yaml"))
    assert len(files) >= 6
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict), file


def test_a_name_is_a_file_of_the_package():
    assert Path(config_file("tiny_cpu")) == named_files.CONFIGS / "tiny_cpu.yaml"
    assert Path(accelerate_config_file("cpu")) == named_files.ACCELERATE_CONFIGS / "cpu.yaml"
    assert Path(template_file("smollm2_prompt")) == named_files.CONFIGS / "smollm2_prompt.yaml"


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny_cpu").write_text("seed: 1")
    assert config_file("tiny_cpu") == "tiny_cpu"


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (config_file, "There is no file nope; --config .* a name: generate_tiny_cpu, .*tiny_cpu"),
        (accelerate_config_file, "There is no file nope; --accelerate_config .* a name: cpu, .*multi_node"),
        (template_file, "There is no prompt template nope; --prompt_template .* a name: smollm2_prompt"),
    ],
)
def test_an_unknown_name_is_answered_with_the_names(find, message):
    with pytest.raises(ValueError, match=message) as caught:
        find("nope")
    assert "\n" not in str(caught.value)


def test_configurations_and_templates_are_not_mixed_up():
    for find, other in ((config_file, "smollm2_prompt"), (template_file, "tiny_cpu")):
        with pytest.raises(ValueError, match=f"There is no .* {other}"):
            find(other)


def test_the_default_is_for_those_who_name_neither():
    tiny = str(named_files.CONFIGS / "tiny_cpu.yaml")
    assert with_config_file(["--seed", "1"], "tiny_cpu") == ["--config", tiny, "--seed", "1"]
    assert with_config_file(["--seed=1", "--config=tiny_cpu"]) == ["--config", tiny, "--seed=1"]
    for flags in (["--model_name_or_path", "x"], ["--model-name-or-path=x"]):
        assert with_config_file(flags, "tiny_cpu") == flags


@pytest.mark.parametrize("flags", [["--config"], ["--config", "--seed", "1"], ["--config="]])
def test_a_flag_without_its_value_is_named(flags):
    with pytest.raises(ValueError, match="--config has no value"):
        taken("--config", flags)

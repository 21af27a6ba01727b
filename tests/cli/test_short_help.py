"""The quick help against the real parsers: it can leave nothing of ours out, and says what they say."""

import dataclasses
import inspect

import pytest
from trl import GRPOConfig, ModelConfig

from serl_trl import SeRLConfig
from serl_trl.cli.evaluate import EvaluationArguments
from serl_trl.cli.evaluate_arguments import TEST_SETS
from serl_trl.cli.plan_arguments import PlanArguments
from serl_trl.cli.short_help import PACKAGE, PAGES, short_help, source_arguments
from serl_trl.cli.train import REWARDS, SeRLScriptArguments
from serl_trl.cli.train_arguments import COLLAPSE_ACTIONS, REWARD_NAMES
from serl_trl.cli.write_instructions import GenerationArguments, GenerationConfig
from serl_trl.evaluation import BENCHMARKS
from serl_trl.monitoring import ACTIONS


PARSED = {  # the dataclasses of each command's parser
    "demo": (SeRLScriptArguments, SeRLConfig, ModelConfig),
    "train": (SeRLScriptArguments, SeRLConfig, ModelConfig, PlanArguments),
    "plan": (SeRLScriptArguments, SeRLConfig, ModelConfig, PlanArguments),
    "write": (GenerationArguments, GenerationConfig, ModelConfig),
    "evaluate": (EvaluationArguments,),
}


def test_every_page_has_a_parser():
    assert PARSED.keys() == PAGES.keys()


@pytest.mark.parametrize("command", PARSED)
def test_every_argument_of_ours_is_listed(command):
    text = short_help(command)
    inherited = {field.name: field for field in dataclasses.fields(GRPOConfig)}
    for kind in PARSED[command]:
        for field in dataclasses.fields(kind):
            same = inherited.get(field.name)
            if same is not None and (same.default, same.metadata) == (field.default, field.metadata):
                continue  # TRL's own
            assert f"--{field.name}" in text, field.name
    assert ("GRPOConfig" in text) == (command != "evaluate")


def test_what_is_read_of_the_source_is_what_the_class_has():
    read = {
        argument.name: argument for argument in source_arguments(PACKAGE / "trainer" / "serl_config.py", "SeRLConfig")
    }
    own = [name for name in inspect.get_annotations(SeRLConfig) if not name.startswith("_")]
    assert list(read) == own
    fields = {field.name: field for field in dataclasses.fields(SeRLConfig)}
    for name, argument in read.items():
        assert argument.help == fields[name].metadata["help"], name
        default = fields[name].default
        if default is dataclasses.MISSING:
            assert argument.default == "a list"
        else:
            assert argument.default == ("" if default is None else str(default))


def test_a_class_that_is_gone_is_named():
    with pytest.raises(ValueError, match=r"serl_config.py has no class Gone"):
        source_arguments(PACKAGE / "trainer" / "serl_config.py", "Gone")


def test_choices_of_light_modules_are_those_of_the_rooms():
    assert tuple(REWARDS) == REWARD_NAMES
    assert ("off", *ACTIONS) == COLLAPSE_ACTIONS
    assert tuple(BENCHMARKS) == TEST_SETS


def test_the_demo_shows_the_values_of_its_own_configuration():
    assert "--num_instructions  [160]" in short_help("demo")
    assert "--num_instructions  [2000]" in short_help("train")

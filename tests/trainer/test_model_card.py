"""What a card says of runs of the built-in model; that it is pushed as it should be is in test_hub.py."""

import ast
import re

import pytest
from datasets import Dataset
from huggingface_hub import ModelCard
from peft import LoraConfig

from serl_trl import GroundTruthReward, MajorityVoteReward, SelfInstructDataset, SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from serl_trl.prompts.template import PromptTemplate
from serl_trl.trainer.model_card import QUESTION, is_hub_id
from tiny_runs import SETTINGS, seeds, trainer


LORA = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


def card_of(run):
    run.create_model_card("name")
    return ModelCard.load(f"{run.args.output_dir}/README.md")


def prompt_of(card):
    """The example prompt of the code, which must be Python."""
    code = re.search(r"```python\n(.*?)```", card.text, re.DOTALL)[1]
    assigned = [node for node in ast.parse(code).body if isinstance(node, ast.Assign)]
    (value,) = [node.value for node in assigned if ast.unparse(node.targets[0]) == "prompt"]
    return ast.literal_eval(value)


def test_a_run_that_was_not_measured(tmp_path):
    run = trainer(tmp_path, self_instruct=False)
    card = card_of(run)
    assert "## Results" not in card.text
    assert card.data.eval_results is None
    assert "Seeds: 8 prompts." in card.text
    assert "wrote further prompts" not in card.text
    assert "agreed with the majority" in card.text
    assert "| iteration |" not in card.text
    assert "0 of 1 iterations, 0 optimiser steps" in card.text
    assert card.data.base_model is None  # a folder here
    assert str(CHECKPOINT) not in card.content
    assert "licence" not in card.data
    assert "@article{fang2025serl" in card.text


def test_facts_are_told(tmp_path):
    run = trainer(
        tmp_path,
        reward_funcs=[MajorityVoteReward(), GroundTruthReward()],
        self_instruct=False,
        reward_weights=[1.0, 0.5],
    )
    run.card_facts.scores = {"after": {"greedy pass@1": [0.5, 0.25, 0.75], "tokens": [10.04, 9.0, 11.0]}}
    run.card_facts.seed_dataset, run.card_facts.license = "openai/gsm8k", "mit"
    card = card_of(run)
    assert "| greedy pass@1 | 50.0% [25.0%, 75.0%] |" in card.text
    assert "| tokens | 10.0 [9.0, 11.0] |" in card.text
    assert [(r.metric_name, r.metric_value) for r in card.data.eval_results] == [("greedy pass@1 (%)", 50.0)]
    assert card.data.datasets == ["openai/gsm8k"]
    assert "8 prompts of [openai/gsm8k](https://huggingface.co/datasets/openai/gsm8k)" in card.text
    assert card.data.license == "mit"
    assert "agreed with the majority" not in card.text
    assert "| rewards | MajorityVoteReward (weight 1), GroundTruthReward (weight 0.5) |" in card.text


@pytest.mark.parametrize(
    ("prompts", "template", "expected"),
    [
        ("text", None, QUESTION),
        ("text", PromptTemplate("Solve: {instruction}"), [{"role": "user", "content": f"Solve: {QUESTION}"}]),
        ("messages", None, [{"role": "user", "content": QUESTION}]),
    ],
)
def test_the_example_is_put_as_in_training(tmp_path, prompts, template, expected):
    rows = seeds()["prompt"]
    rows = [row[-1]["content"] for row in rows] if prompts == "text" else rows
    dataset = SelfInstructDataset(rows, num_instructions=8, num_few_shot=4, prompt_template=template)
    assert prompt_of(card_of(trainer(tmp_path, dataset))) == expected


def test_an_adapter_saved_by_hand_has_our_card_too(tmp_path):
    args = SeRLConfig(output_dir=str(tmp_path), **{**SETTINGS, "self_instruct": False})
    run = SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=Dataset.from_list(list(seeds())), peft_config=LORA)
    run.save_model()
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.base_model is None  # PEFT has the path here
    assert card.data.library_name == "peft"
    assert "| lora_r, lora_alpha | 4, 8 |" in card.text


def test_only_an_adapter_is_merged(tmp_path):
    with pytest.raises(ValueError, match="needs a model with an adapter"), trainer(tmp_path).save_merged():
        pass


@pytest.mark.parametrize("name", ["", None, "/home/me/model", "a/b/c", "C:\\models\\mine", "../mine"])
def test_paths_are_no_ids(name):
    assert not is_hub_id(name)


def test_a_folder_that_looks_like_an_id_is_none(tmp_path, monkeypatch):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not is_hub_id("runs/mine")
    assert is_hub_id("runs/yours")


def test_the_command_that_pushes_later(tmp_path):
    run = trainer(tmp_path / "a run", hub_model_id="me/name", hub_private_repo=True, hub_revision="v2")
    command = run.pushes.command(run.run_dir, run.pushes.repository)
    assert command.startswith(f"hf upload me/name '{tmp_path}/a run' . ")
    assert command.endswith("--revision v2 --private")

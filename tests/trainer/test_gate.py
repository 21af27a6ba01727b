"""A batch with rejected groups trains as the same batch without them, whatever the loss and wherever the KL is."""

import pytest
import torch
import trl.trainer.grpo_trainer as trls
from trl import GRPOConfig

from scripted_rollouts import SCRIPTED, script
from tiny_runs import parameters, snapshots, trainer


LOSSES = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
WITH = [(0, "even"), (1, "hard"), (2, "three"), (3, "easy"), (4, "hard"), (5, "even"), (6, "easy"), (7, "even")]
WITHOUT = [problem for problem in WITH if problem[1] in ("even", "three")]
SETTINGS = {
    "model_init_kwargs": {"num_hidden_layers": 1},  # what it would write is not asked for
    "optim": "sgd",
    "learning_rate": 5e-4,
    "max_grad_norm": 0.0,  # a norm that is off would not show
    "beta": 0.5,
    "entropy_coef": 0.01,
    "max_refill_rounds": 0,
    "reserve_fraction": 0.0,
}


def step_by_step(tmp_path, monkeypatch, problems, num_micro_batches, **settings):
    """Parameters before and after each optimiser step; the second rollout is away from the reference."""
    size = len(problems) // 2 * 4
    layout = {
        "generation_batch_size": size,
        "per_device_train_batch_size": size // num_micro_batches,
        "gradient_accumulation_steps": num_micro_batches,
        "num_instructions": len(problems),
    }
    run = trainer(tmp_path, **SCRIPTED | SETTINGS | layout | settings)
    for model in (run.model, run.ref_model):
        model.double()  # so that the order of a sum does not show
    script(monkeypatch, run, problems)
    start, passed = parameters(run.model), snapshots(run)
    run.train()
    return [start, *passed]


def assert_alike(with_them, without, num_steps):
    assert len(with_them) == len(without) == 1 + num_steps
    for i in range(1, 1 + num_steps):
        for name, value in without[i].items():
            moved = (value - without[i - 1][name]).abs().max()
            assert moved > 0
            torch.testing.assert_close(with_them[i][name], value, rtol=0, atol=1e-4 * moved.item(), msg=name)


def test_these_are_all_losses_of_trl():
    text = GRPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    assert all(f"`{name}`" in text or f"'{name}'" in text for name in LOSSES)


@pytest.mark.parametrize(
    ("loss_type", "kl_placement"), [*((name, "loss") for name in LOSSES), *((name, "reward") for name in LOSSES[:4])]
)
def test_rejected_groups_might_as_well_not_be_there(tmp_path, monkeypatch, loss_type, kl_placement):
    """In the order of the batch two of its four micro-batches hold nothing but a rejected group."""
    settings = {"loss_type": loss_type, "kl_placement": kl_placement}
    without = step_by_step(tmp_path / "without", monkeypatch, WITHOUT, 1, **settings)
    monkeypatch.setattr(trls, "shuffle_sequence_dict", lambda batch: batch)
    with_them = step_by_step(tmp_path / "with", monkeypatch, WITH, 4, **settings)
    assert_alike(with_them, without, num_steps=2)


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dapo"])
def test_however_many_there_are_in_a_micro_batch(tmp_path, monkeypatch, loss_type):
    without = step_by_step(tmp_path / "without", monkeypatch, WITHOUT, 1, loss_type=loss_type)
    with_them = step_by_step(tmp_path / "with", monkeypatch, WITH, 4, loss_type=loss_type)  # shuffled by TRL
    assert_alike(with_them, without, num_steps=2)


@pytest.mark.parametrize("loss_type", ["bnpo", "dapo", "luspo"])
def test_nor_do_they_count_where_a_rollout_serves_several_steps(tmp_path, monkeypatch, loss_type):
    """Each of a rollout's two steps has a kept group, in two micro-batches, and a rejected one, in two others."""
    monkeypatch.setattr(trls, "shuffle_sequence_dict", lambda batch: batch)
    settings = {"loss_type": loss_type, "per_device_train_batch_size": 2, "learning_rate": 5e-5}
    layout = {"generation_batch_size": 8, "gradient_accumulation_steps": 2}
    without = step_by_step(tmp_path / "without", monkeypatch, WITHOUT, 4, **settings | layout)
    layout = {"generation_batch_size": 16, "gradient_accumulation_steps": 4}
    with_them = step_by_step(tmp_path / "with", monkeypatch, WITH, 4, **settings | layout)
    assert_alike(with_them, without, num_steps=4)

"""A batch with rejected groups trains as the same batch without them, whatever the loss and wherever the KL is."""

import pytest
import torch

from scripted_rollouts import script
from test_instruction_feed import SCRIPTED
from test_serl_trainer import parameters, snapshots, trainer


WITH = [(0, "even"), (1, "hard"), (2, "three"), (3, "easy"), (4, "hard"), (5, "even"), (6, "easy"), (7, "even")]
WITHOUT = [problem for problem in WITH if problem[1] in ("even", "three")]
SETTINGS = {
    "optim": "sgd",
    "learning_rate": 0.05,
    "beta": 0.5,
    "entropy_coef": 0.01,
    "max_refill_rounds": 0,
    "reserve_fraction": 0.0,
    "gradient_accumulation_steps": 1,
}


def step_by_step(tmp_path, monkeypatch, problems, **settings):
    """Parameters before and after each of two optimiser steps, the second of which is away from the reference."""
    size = len(problems) // 2 * 4
    layout = {"generation_batch_size": size, "per_device_train_batch_size": size, "num_instructions": len(problems)}
    run = trainer(tmp_path, **SCRIPTED | SETTINGS | layout | settings)
    for model in (run.model, run.ref_model):
        model.double()  # so that the order of a sum does not show
    script(monkeypatch, run, problems)
    start, passed = parameters(run.model), snapshots(run)
    run.train()
    return [start, *passed]


@pytest.mark.parametrize("kl_placement", ["reward", "loss"])
@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"])
def test_rejected_groups_might_as_well_not_be_there(tmp_path, monkeypatch, loss_type, kl_placement):
    settings = {"loss_type": loss_type, "kl_placement": kl_placement}
    with_them = step_by_step(tmp_path / "with", monkeypatch, WITH, **settings)
    without = step_by_step(tmp_path / "without", monkeypatch, WITHOUT, **settings)
    assert len(with_them) == len(without) == 3
    for i in (1, 2):
        for name, value in without[i].items():
            moved = (value - without[i - 1][name]).abs().max()
            assert moved > 0
            torch.testing.assert_close(with_them[i][name], value, rtol=0, atol=1e-5 * moved.item(), msg=name)

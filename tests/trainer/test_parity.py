"""The alarm for upgrades of TRL: with SeRL's own parts off, the trainer trains to the parameters of TRL's trainers."""

from typing import Any

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from serl_trl.laboratory import CHECKPOINT
from serl_trl.trainer.token_logprobs import TokenLogprobs
from tiny_runs import SETTINGS, Alternating, equal, parameters, seeds, trained, trainer


NUM_TOKENS = SETTINGS["max_completion_length"]
BARE = {
    key: SETTINGS[key] for key in SETTINGS if key not in ("num_instructions", "max_instruction_length", "num_few_shot")
}
BARE["model_init_kwargs"] = {"num_hidden_layers": 1}  # rewards do not read what it writes
OURS = {"model_init_kwargs": BARE["model_init_kwargs"]} | {
    "self_instruct": False,
    "min_vote_share": 0,
    "max_vote_share": 1,
}
OPTIMISER = {"adam_beta2": 0.999, "max_steps": 10}


def places(prompts, completions, **kwargs):
    """A reward with the same spread in each group of four: what normalises over groups and over the batch is then alike."""
    return [float(i % 4) for i in range(len(completions))]


def test_grpo_without_a_gate_is_trls(tmp_path, monkeypatch):
    """To the bit, with the reference's log-probabilities computed as TRL computes them."""
    monkeypatch.setattr(TokenLogprobs, "reason_for_trls", lambda *args, **kwargs: "TRL's are wanted")
    settings = OPTIMISER | {"beta": 0.01}
    config = GRPOConfig(output_dir=str(tmp_path / "trl"), **BARE | settings)
    theirs = GRPOTrainer(str(CHECKPOINT), Alternating(), config, seeds(40))
    theirs.train()
    estimator = {"advantage_estimator": "grpo", "loss_type": config.loss_type}
    ours = trained(tmp_path / "serl", seeds(40), Alternating(), **OURS | settings | estimator)
    assert equal(parameters(theirs.model), parameters(ours.model))


def test_grpo_that_computes_prompts_once_is_trls_to_rounding(tmp_path):
    same: dict[str, Any] = {"optim": "sgd", "max_steps": 3, "beta": 0.1, "max_grad_norm": 0.0, "learning_rate": 0.02}
    config = GRPOConfig(output_dir=str(tmp_path / "trl"), **BARE | same)
    start, end = in_double(GRPOTrainer(str(CHECKPOINT), Alternating(), config, seeds(40)))
    for share_prompts in (False, True):
        settings = OURS | same | {"advantage_estimator": "grpo", "loss_type": config.loss_type}
        ours = trainer(tmp_path / "serl", seeds(40), Alternating(), share_prompts=share_prompts, **settings)
        _, found = in_double(ours)
        for name, value in end.items():
            moved = (value - start[name]).norm()
            assert moved > 0, name
            assert (found[name] - value).norm() < 1e-5 * moved, name


@pytest.mark.slow
def test_rloo_is_trls_where_the_formulas_agree(tmp_path):
    """
    Where they do: no KL, completions of one length. Then TRL's loss is the mean of -A over completions, ours the mean of -A / s
    over their tokens, with s the batch's standard deviation: here of 0, 1, 2, 3 less the mean of the other three.
    """
    std = torch.tensor([0 - 6 / 3, 1 - 5 / 3, 2 - 4 / 3, 3 - 3 / 3]).std(correction=0).item()
    same: dict[str, Any] = {"optim": "sgd", "max_steps": 10, "beta": 0.0, "max_grad_norm": 0.0}
    same["generation_kwargs"] = {"min_new_tokens": NUM_TOKENS}
    config = RLOOConfig(output_dir=str(tmp_path / "trl"), **BARE | same | {"learning_rate": 0.03 / NUM_TOKENS})
    theirs = RLOOTrainer(str(CHECKPOINT), places, config, seeds(40))
    start, end = in_double(theirs)
    settings = OURS | same | {"advantage_estimator": "rloo", "learning_rate": 0.03 * std}
    ours = trainer(tmp_path / "serl", seeds(40), places, **settings)
    _, found = in_double(ours)
    lengths = [row["completions/mean_length"] for row in ours.state.log_history if "reward" in row]
    assert lengths == [NUM_TOKENS] * 10
    for name, value in end.items():
        moved = (value - start[name]).norm()
        assert moved > 0, name

        assert (found[name] - value).norm() < 1e-5 * moved, name


def in_double(run):
    """Parameters before and after a run in double precision, so that the order of operations does not show."""
    run.model.double()
    start = parameters(run.model)
    run.train()
    return start, parameters(run.model)

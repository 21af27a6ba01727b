import math

import pytest
import torch

from runs import seeds, trainer
from serl_trl.trainer.finite_check import _shown


SETTINGS = {"self_instruct": False, "num_train_epochs": 3, "logging_steps": 1, "log_completions": False}


def run(tmp_path, **kwargs):
    return trainer(tmp_path, dataset=seeds(4), **{**SETTINGS, **kwargs})


def snapshot(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


class Rewarding:
    """Varied rewards, and from the second rollout on a last one of its own."""

    __name__ = "rewarding"

    def __init__(self, last):
        self.last, self.calls = last, 0

    def __call__(self, prompts, completions, **kwargs):
        self.calls += 1
        rewards = [float(i % 3) for i in range(len(completions))]
        return [*rewards[:-1], self.last] if self.calls > 1 else rewards


def test_an_infinite_reward_is_reported_with_its_prompt(tmp_path):
    guarded = run(tmp_path, reward_funcs=Rewarding(math.inf))
    with pytest.raises(FloatingPointError) as caught:
        guarded.train()
    message = str(caught.value)
    assert "At step 3 the reward rewarding is infinite" in message
    assert f"last good checkpoint is {tmp_path}/checkpoint-2." in message
    (row,) = message.split("\n")[1:]
    prompt = row.strip().split(" -> ")[0]
    assert prompt in [repr(messages[0]["content"]) for messages in seeds(4)["prompt"]]


@pytest.mark.parametrize(
    ("completion", "shown"),
    [
        ("4", "'1+1?' -> '4'"),
        ([{"role": "assistant", "content": "4"}], "'1+1?' -> '4'"),
        ([{"role": "assistant", "content": None, "tool_calls": []}], "'1+1?' -> ''"),
        ([{"role": "assistant", "content": [{"type": "text", "text": "4"}]}], "'1+1?' -> '4'"),
        ([{"role": "assistant"}], "'1+1?' -> ''"),
        ([], "'1+1?' -> ''"),
    ],
)
def test_any_completion_can_be_shown(completion, shown):
    assert _shown([{"role": "user", "content": "1+1?"}], completion) == shown
    assert _shown([{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}], completion) == shown


def test_an_infinite_reward_of_a_reply_without_content_is_reported(tmp_path, monkeypatch):
    import trl.trainer.grpo_trainer as trls

    guarded = run(tmp_path, reward_funcs=Rewarding(math.inf))
    guarded.processing_class.response_template = {"role": "assistant"}  # TRL then has replies parsed
    monkeypatch.setattr(trls, "parse_response", lambda *args, **kwargs: {"role": "assistant", "content": None})
    with pytest.raises(FloatingPointError, match="the reward rewarding is infinite"):
        guarded.train()


def test_no_reward_is_no_error(tmp_path):
    guarded = run(tmp_path, reward_funcs=Rewarding(None), max_steps=4)
    guarded.train()
    assert guarded.state.global_step == 4


@pytest.mark.parametrize("max_grad_norm", [1.0, 0.0])
def test_a_loss_that_is_no_number_moves_nothing(tmp_path, monkeypatch, max_grad_norm):
    guarded = run(tmp_path, max_grad_norm=max_grad_norm)
    original, weights = type(guarded)._with_advantages, []

    def poisoned(self, output, is_kept):
        output = original(self, output, is_kept)
        if self.state.global_step == 2:
            output["advantages"][0, 0] = math.nan
            weights.extend(snapshot(self.model))
        return output

    monkeypatch.setattr(type(guarded), "_with_advantages", poisoned)
    with pytest.raises(FloatingPointError) as caught:
        guarded.train()
    # The rollout of steps 3 and 4 is shuffled: the row comes up in one of them, and until then training goes on.
    assert f"At step {guarded.state.global_step + 1} the loss is not finite" in str(caught.value)
    assert f"{tmp_path}/checkpoint-{guarded.state.global_step}." in str(caught.value)
    assert len(str(caught.value).split("\n")[1:]) == 1
    assert all(torch.isfinite(parameter).all() for parameter in guarded.model.parameters())
    if guarded.state.global_step == 2:
        assert all(map(torch.equal, weights, snapshot(guarded.model)))


def test_a_gradient_that_is_no_number_with_a_loss_that_is(tmp_path):
    guarded = run(tmp_path)
    next(guarded.model.parameters()).register_hook(lambda gradient: gradient * math.nan)
    before = snapshot(guarded.model)
    with pytest.raises(FloatingPointError) as caught:
        guarded.train()
    assert "At step 1 the gradient is not finite" in str(caught.value)
    assert "There is no checkpoint yet. Begin anew with a lower learning_rate" in str(caught.value)
    assert "and 3 more" in str(caught.value)  # of the 8 rows of the step
    assert all(map(torch.equal, before, snapshot(guarded.model)))

"""`share_prompts` in training: losses and gradients are TRL's, whatever the loss, and a step is over the same rows."""

import copy
import shutil

import pytest
import torch
from peft import LoraConfig
from trl import GRPOTrainer

import runs
from launching import in_two, records
from serl_trl.trainer import token_logprobs
from tiny_runs import Alternating, rollout, trainer


LOSSES = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
SETTINGS = {
    "self_instruct": False,
    "min_vote_share": 0,
    "max_vote_share": 1,
    "advantage_estimator": "grpo",
    "share_prompts": True,
    "beta": 0.3,
    "entropy_coef": 0.01,
    "generation_batch_size": 16,
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 1,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """[`off_policy`] in double precision, so that the order of operations, which differs between machines, does not show."""
    return off_policy(tmp_path_factory.mktemp("run"), torch.float64)


def off_policy(folder, dtype):
    """A trainer whose policy is away from its reference, and a rollout of it that is a little off the policy."""
    run = trainer(folder, reward_funcs=Alternating(), **SETTINGS)
    run.model.to(dtype)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in run.model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    run.current_gradient_accumulation_steps = 1
    inputs = rollout(run)
    with torch.no_grad():
        logps, _, _ = run._get_per_token_logps_and_entropies(
            run.model,
            torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
            torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
            inputs["completion_ids"].size(1),
        )
    inputs["old_per_token_logps"] = logps + 0.3 * torch.randn(logps.shape, generator=generator)
    return run, inputs


def loss_and_gradients(run, compute_loss, inputs):
    run.model.zero_grad()
    loss = compute_loss(run.model, inputs)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in run.model.named_parameters() if p.grad is not None}


def assert_alike(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert value.norm() > 0, name
        assert (found[name] - value).norm() <= 1e-6 * value.norm(), name


def by_trl(run, model, inputs):
    return GRPOTrainer.compute_loss(run, model, inputs)


@pytest.mark.parametrize("kl_placement", ["loss", "reward"])
@pytest.mark.parametrize("loss_type", LOSSES)
def test_loss_and_gradients_are_trls(made, monkeypatch, loss_type, kl_placement):
    run, inputs = made
    monkeypatch.setattr(run, "loss_type", loss_type)
    monkeypatch.setattr(run.args, "kl_placement", kl_placement)
    if kl_placement == "reward":  # which makes them differ between tokens
        mask = inputs["completion_mask"]
        inputs = {**inputs, "advantages": inputs["advantages"][:, None] + 0.1 * mask.cumsum(dim=1)}
    num_by_trl, plain = [], GRPOTrainer._get_per_token_logps_and_entropies

    def counted(*args, **kwargs):
        num_by_trl.append(1)
        return plain(*args, **kwargs)

    monkeypatch.setattr(GRPOTrainer, "_get_per_token_logps_and_entropies", counted)
    found = loss_and_gradients(run, run.compute_loss, inputs)
    assert not num_by_trl
    monkeypatch.setattr(run.args, "share_prompts", False)
    monkeypatch.setattr(run, "beta", 0.0 if kl_placement == "reward" else run.beta)
    expected = loss_and_gradients(run, lambda model, batch: by_trl(run, model, batch), inputs)
    assert num_by_trl
    assert found[0] == pytest.approx(expected[0], rel=1e-5, abs=1e-6)  # a sum of terms of both signs, of about 1
    assert_alike(found[1], expected[1])


def test_in_float32_too(tmp_path, monkeypatch):
    """All gradients together: in single ones terms of both signs cancel, and rounding shows (measured: up to 1.4e-5)."""
    run, inputs = off_policy(tmp_path, torch.float32)
    loss, found = loss_and_gradients(run, run.compute_loss, inputs)
    monkeypatch.setattr(run.args, "share_prompts", False)
    by_trl_loss, expected = loss_and_gradients(run, lambda model, batch: by_trl(run, model, batch), inputs)
    assert loss == pytest.approx(by_trl_loss, rel=1e-5, abs=1e-6)
    found_all, expected_all = (torch.cat([g.flatten() for g in grads.values()]) for grads in (found, expected))
    assert (found_all - expected_all).norm() <= 1e-5 * expected_all.norm()


def step(run, inputs, order, num_micro_batches):
    """The gradients of a step of which TRL has cut the rows in an order."""
    run.gated_loss.is_step_empty()  # a new step
    run.current_gradient_accumulation_steps = num_micro_batches
    size = len(order) // num_micro_batches
    run._buffered_inputs = [
        {k: v[rows] if torch.is_tensor(v) and v.ndim else v for k, v in inputs.items()} for rows in order.split(size)
    ]
    run.model.zero_grad()
    for batch in run._buffered_inputs:
        run.compute_loss(run.model, batch).backward()
    return {name: p.grad.clone() for name, p in run.model.named_parameters()}


@pytest.mark.parametrize("loss_type", LOSSES)
def test_which_micro_batch_a_row_is_in_does_not_change_a_step(made, monkeypatch, loss_type):
    run, inputs = made
    monkeypatch.setattr(run, "loss_type", loss_type)
    monkeypatch.setattr(run.args, "steps_per_generation", 4)
    monkeypatch.setattr(run.args, "gradient_accumulation_steps", 4)
    monkeypatch.setattr(run, "_buffered_inputs", None)
    monkeypatch.setattr(run, "current_gradient_accumulation_steps", 1)
    first = step(run, inputs, torch.randperm(16, generator=torch.Generator().manual_seed(1)), 4)
    is_whole = [len(batch["prompt_ids"].unique(dim=0)) == 1 for batch in run._buffered_inputs]
    assert all(is_whole)
    second = step(run, inputs, torch.randperm(16, generator=torch.Generator().manual_seed(2)), 4)
    assert_alike(second, first)
    monkeypatch.setattr(token_logprobs, "gather_groups", lambda batches, num_of_a_step: None)
    assert_alike(step(run, inputs, torch.randperm(16, generator=torch.Generator().manual_seed(3)), 4), first)


def test_a_quantile_of_entropies_leaves_rows_where_they_are(made, monkeypatch):
    run, inputs = made
    batches = [
        {k: v[rows] if torch.is_tensor(v) and v.ndim else v for k, v in inputs.items()}
        for rows in torch.randperm(16, generator=torch.Generator().manual_seed(1)).split(4)
    ]
    before = copy.deepcopy(batches)
    monkeypatch.setattr(run, "_buffered_inputs", batches)
    monkeypatch.setattr(run.args, "gradient_accumulation_steps", 4)
    monkeypatch.setattr(run, "top_entropy_quantile", 0.5)
    run.token_logprobs.gather_groups(run.model, batches[0])
    assert all(torch.equal(a["prompt_ids"], b["prompt_ids"]) for a, b in zip(batches, before, strict=True))
    monkeypatch.setattr(run, "top_entropy_quantile", 1.0)
    run.token_logprobs.gather_groups(run.model, batches[1])  # not the first: the rollout is being trained on
    assert all(torch.equal(a["prompt_ids"], b["prompt_ids"]) for a, b in zip(batches, before, strict=True))
    run.token_logprobs.gather_groups(run.model, batches[0])
    assert not all(torch.equal(a["prompt_ids"], b["prompt_ids"]) for a, b in zip(batches, before, strict=True))


@pytest.mark.parametrize("kl_placement", [pytest.param("loss", marks=pytest.mark.slow), "reward"])
def test_lora_trains_as_with_trls_pass(tmp_path, monkeypatch, kl_placement):
    """Two steps from the same seed, in double precision; the reference is the base with its adapter disabled."""
    settings = {**runs.SETTINGS, **SETTINGS, "advantage_estimator": "reinforce++", "kl_placement": kl_placement}
    settings |= {"optim": "sgd", "learning_rate": 0.05, "max_steps": 2, "save_strategy": "no", "max_grad_norm": 0.0}
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.0)
    ends = []
    for name in ("shared", "plain"):
        run = runs.trainer(tmp_path / name, Alternating(), peft_config=lora, **settings)
        run.model.double()
        start = {n: p.detach().clone() for n, p in run.model.named_parameters() if p.requires_grad}
        if name == "plain":
            monkeypatch.setattr(
                token_logprobs.TokenLogprobs, "reason_for_trls", lambda *args, **kwargs: "TRL's are wanted"
            )
        run.train()
        ends.append({n: p.detach().clone() for n, p in run.model.named_parameters() if p.requires_grad})
    for name, value in ends[1].items():
        moved = (value - start[name]).norm()
        assert moved > 0
        assert (ends[0][name] - value).norm() <= 1e-5 * moved, name


def test_a_resumed_run_ends_as_the_run_that_was_not_stopped(tmp_path):
    settings = {"share_prompts": True, "self_instruct": False, "gradient_accumulation_steps": 1, "num_train_epochs": 1}
    whole = runs.trainer(tmp_path / "whole", **settings)
    whole.train()
    num_steps = whole.state.global_step
    rows = [row["grad_norm"] for row in whole.state.log_history if "grad_norm" in row]
    assert max(rows) > 0
    # the second of four steps of a rollout: its rows are in the checkpoint, in the order in which they are trained on
    stopped = num_steps - 2
    shutil.copytree(tmp_path / "whole" / f"checkpoint-{stopped}", tmp_path / "resumed" / f"checkpoint-{stopped}")
    shutil.copytree(tmp_path / "whole" / "completions", tmp_path / "resumed" / "completions")
    resumed = runs.trainer(tmp_path / "resumed", **settings)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == num_steps
    assert runs.differences(tmp_path / "whole", tmp_path / "resumed", num_steps) == []


@pytest.mark.multiprocess
@pytest.mark.slow
def test_two_processes_train_as_with_trls_pass(tmp_path):
    """What wraps the model for several processes is called once a micro-batch, and reduces the gradient of both passes."""
    assert in_two("tests/scripts/distributed_shared_prompts.py", tmp_path) == [0, 0]
    ranks = records(tmp_path)
    assert len(ranks) == 2
    for rank in ranks:
        assert rank["plain"]["num_by_trl_with_gradient"] > 0
        for name in ("shared", "unused", "static"):
            assert rank[name]["num_by_trl_with_gradient"] == 0
            assert rank["apart"][name] < 1e-5
            assert rank[name]["norms"] == pytest.approx(ranks[0]["plain"]["norms"], rel=1e-5)

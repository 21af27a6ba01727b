"""Log-probabilities, entropies and gradients are those of TRL's pass, which computes every prompt for each completion."""

import copy
import logging
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from torch.nn import DataParallel

from serl_trl.trainer import token_logprobs
from tiny_models import ARCHITECTURES, Scorer, tiny_batch, tiny_model


CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-5}


def scored(score, batch, **options):
    with torch.no_grad():
        return score(*batch, **options)


def gradients(model, score, batch, weights):
    """Of a loss that weighs log-probabilities and entropies of completions at random."""
    model.zero_grad()
    logps, entropies, _ = score(*batch, compute_entropy=True)
    ((logps * weights + 0.3 * entropies) * batch[1][:, -batch[2] :]).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(found, expected):
    assert found.keys() == expected.keys()
    size = max(value.norm() for value in expected.values())
    assert size > 0
    for name, value in expected.items():
        assert (found[name] - value).norm() <= 1e-5 * max(value.norm(), 1e-2 * size), name


@contextmanager
def tokens_read(model):
    """A list that gets the number of tokens of each pass through the model."""
    seen: list[int] = []
    hook = model.get_input_embeddings().register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].numel())
    )
    yield seen
    hook.remove()


@pytest.fixture
def batch():
    return tiny_batch(torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_scored_is_trls(architecture):
    for seed in range(2):
        torch.manual_seed(seed)
        batch = tiny_batch(torch.Generator().manual_seed(seed), num_generations=2 + 3 * seed)
        scorer = Scorer(tiny_model(architecture, temperature=0.7))
        expected = scored(scorer.theirs, batch, batch_size=4, compute_entropy=True)
        for batch_size in (4, None):
            found = scored(scorer.ours, batch, batch_size=batch_size, compute_entropy=True)
            torch.testing.assert_close(found[0], expected[0], **CLOSE)  # masked places hold 0 in both
            torch.testing.assert_close(found[1], expected[1], **CLOSE)
        assert scorer.num_by_trl == 2  # the expected one, and the check of the model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_trained_on_has_trls_gradient(architecture):
    for seed in range(1, 3):
        torch.manual_seed(seed)
        batch = tiny_batch(torch.Generator().manual_seed(seed))
        model = tiny_model(architecture).train()
        scorer, weights = Scorer(model), torch.randn(len(batch[0]), batch[2])
        expected = gradients(model, scorer.theirs, batch, weights)
        assert_same_gradients(gradients(model, scorer.ours, batch, weights), expected)
        assert scorer.num_by_trl == 2


def test_prompts_longer_than_a_window_are_read_through_it():
    torch.manual_seed(0)
    batch = tiny_batch(torch.Generator().manual_seed(0), max_prompt=40, max_completion=12)
    for window in (3, 8, 60):
        scorer = Scorer(tiny_model("mistral", sliding_window=window))
        expected = scored(scorer.theirs, batch)
        torch.testing.assert_close(scored(scorer.ours, batch)[0], expected[0], **CLOSE)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        (
            "phi3",
            {
                "original_max_position_embeddings": 20,
                "rope_parameters": {
                    "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 20,
                    "short_factor": [1.0] * 4, "long_factor": [9.0] * 4,
                },
            },
        ),
        (
            "llama",
            {
                "max_position_embeddings": 20,
                "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 9.0},
            },
        ),
    ],
)  # fmt: skip
def test_positions_that_the_longest_row_scales_leave_long_batches_to_trl(architecture, changes):
    torch.manual_seed(0)
    scorer = Scorer(tiny_model(architecture, **changes))
    short = tiny_batch(torch.Generator().manual_seed(0), max_prompt=8, max_completion=5)
    long = tiny_batch(torch.Generator().manual_seed(1), max_prompt=18, max_completion=12)
    for batch, num_by_trl in ((short, 1), (long, 2)):  # of the short one it is the check of the model
        found = scored(scorer.ours, batch)[0]
        assert scorer.num_by_trl == num_by_trl
        torch.testing.assert_close(found, expected_of(scorer, batch), **CLOSE)


def expected_of(scorer, batch):
    """TRL's log-probabilities, not counted."""
    expected = scored(scorer.theirs, batch)[0]
    scorer.num_by_trl -= 1
    return expected


def test_each_prompt_is_computed_once(batch):
    model = tiny_model("llama")
    scorer = Scorer(model)
    scored(scorer.ours, batch)  # checks the model
    with tokens_read(model) as seen, torch.no_grad():
        scorer.ours(*batch)
    rows, width = len(batch[0]), batch[2] - 1  # the last column is empty
    longest = batch[0].shape[1] - batch[2]
    assert seen == [3 * (longest - 1), rows * (1 + width)]
    with tokens_read(model) as seen:
        scorer.ours(*batch)
    assert seen == [3 * (longest - 1), rows * (1 + width)]


def test_micro_batches_without_gradient_hold_rows_of_similar_length():
    """Of each prompt, four completions have one token, and four have seven."""
    ids, mask, _ = tiny_batch(torch.Generator().manual_seed(0), 2, 8, max_prompt=2, max_completion=1)
    is_long = torch.arange(16) % 2 == 0
    ids = torch.cat([ids[:, :3], torch.full((16, 6), 5)], dim=1)
    mask = torch.cat([mask[:, :3], is_long[:, None].expand(16, 6).long()], dim=1)
    model = tiny_model("llama")
    scorer = Scorer(model)
    expected = scored(scorer.theirs, (ids, mask, 7))
    scored(scorer.ours, (ids, mask, 7))  # checks the model
    with tokens_read(model) as seen:
        found = scored(scorer.ours, (ids, mask, 7), batch_size=4)
    assert seen == 2 * [1, 4 * (1 + 1), 4 * (1 + 7)]
    torch.testing.assert_close(found[0], expected[0], **CLOSE)


def test_different_prompts_are_scored_in_order_of_length_without_their_padding():
    batch = tiny_batch(torch.Generator().manual_seed(1), num_prompts=8, num_generations=1)
    for architecture in ("llama", "gpt2"):
        torch.manual_seed(0)
        model = tiny_model(architecture)
        scorer = Scorer(model)
        expected = scored(scorer.theirs, batch, compute_entropy=True)
        with tokens_read(model) as seen:
            found = scored(scorer.ours, batch, batch_size=2, compute_entropy=True)
        torch.testing.assert_close(found[0], expected[0], **CLOSE)
        torch.testing.assert_close(found[1], expected[1], **CLOSE)
        assert sum(seen[-4:]) < 0.8 * batch[0].numel()


def test_rows_without_a_completion_score_0(batch):
    ids, mask, width = batch
    mask = mask.clone()
    mask[::2, -width:] = 0  # as of truncated completions that are masked
    scorer = Scorer(tiny_model("llama"))
    expected, found = scored(scorer.theirs, (ids, mask, width)), scored(scorer.ours, (ids, mask, width))
    torch.testing.assert_close(found[0], expected[0], **CLOSE)
    mask[:, -width:] = 0
    assert torch.equal(scored(scorer.ours, (ids, mask, width))[0], torch.zeros(len(ids), width))


def test_share_prompts_off_leaves_the_pass_with_gradient_to_trl(batch):
    model = tiny_model("llama")
    scorer, weights = Scorer(model, share_prompts=False), torch.randn(len(batch[0]), batch[2])
    expected = gradients(model, scorer.theirs, batch, weights)
    found = gradients(model, scorer.ours, batch, weights)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_bfloat16_under_autocast_is_near_float32_and_has_its_gradient(batch):
    """The check of the model comes first, and casts weights without gradient: the pass must not take those (torch 2.8)."""
    model = tiny_model("llama", hidden_size=16, intermediate_size=16)
    scorer, weights = Scorer(model), torch.randn(len(batch[0]), batch[2])
    full, exact = scored(scorer.theirs, batch)[0], gradients(model, scorer.theirs, batch, weights)
    narrow = torch.autocast("cpu", torch.bfloat16)
    scorer.trainer.accelerator = copy.copy(scorer.trainer.accelerator)
    scorer.trainer.accelerator.autocast = lambda: torch.autocast("cpu", torch.bfloat16)
    with narrow:
        found = gradients(model, scorer.ours, batch, weights)
        expected = gradients(model, scorer.theirs, batch, weights)
    assert (scored(scorer.ours, batch)[0] - full).abs().mean() < 0.1
    for name, value in exact.items():
        error = (expected[name] - value).norm()
        assert (found[name] - value).norm() < 2 * error + 0.05 * value.norm(), name


# Adapters ----------------------------------------------------------------------------------------------------------


def adapted(dropout):
    torch.manual_seed(0)
    model = get_peft_model(
        tiny_model("llama"), LoraConfig(r=4, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return model.train()


def test_lora_has_trls_gradient_and_its_reference_is_the_base(batch):
    model = adapted(0.0)
    scorer, weights = Scorer(model), torch.randn(len(batch[0]), batch[2])
    expected = gradients(model, scorer.theirs, batch, weights)
    found = gradients(model, scorer.ours, batch, weights)
    assert all("lora_" in name for name in expected)
    assert_same_gradients(found, expected)
    policy = scored(scorer.ours, batch)[0]
    torch.testing.assert_close(policy, scored(scorer.theirs, batch)[0], **CLOSE)
    with model.disable_adapter():
        reference = scored(scorer.ours, batch)[0]
        torch.testing.assert_close(reference, scored(scorer.theirs, batch)[0], **CLOSE)
    assert (policy - reference).abs().max() > 0.1


def test_dropout_of_lora_leaves_the_policy_to_trl_but_not_its_reference(batch):
    model = adapted(0.5)
    scorer = Scorer(model)
    torch.manual_seed(1)
    expected = scored(scorer.theirs, batch)[0]
    torch.manual_seed(1)
    assert torch.equal(scored(scorer.ours, batch)[0], expected)
    assert scorer.num_by_trl == 2
    with model.disable_adapter():
        expected = scored(scorer.theirs, batch)[0]
        torch.testing.assert_close(scored(scorer.ours, batch)[0], expected, **CLOSE)
        scored(scorer.ours, batch)
    assert scorer.num_by_trl == 4  # that, and the check of the model
    model.eval()
    scored(scorer.ours, batch)
    assert scorer.num_by_trl == 4


# Where TRL's pass is taken -----------------------------------------------------------------------------------------


def assert_by_trl(scorer, batch, caplog, reason, has_gradient=False, **options):
    """To the bit, and said once."""
    caplog.clear()
    with torch.set_grad_enabled(has_gradient), caplog.at_level(logging.INFO, token_logprobs.__name__):
        torch.manual_seed(0)
        expected = scorer.theirs(*batch, **options)
        torch.manual_seed(0)
        found = scorer.ours(*batch, **options)
        torch.manual_seed(0)
        again = scorer.ours(*batch, **options)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(again[0], expected[0])
    said = [record for record in caplog.records if record.name == token_logprobs.__name__]
    assert [reason in record.getMessage() for record in said] == [True], [record.getMessage() for record in said]
    assert said[0].levelno == (logging.WARNING if has_gradient else logging.INFO)


@pytest.mark.parametrize(
    ("reason", "attribute", "owner"),
    [
        ("DeepSpeed or FSDP holds the parameters", "is_deepspeed_enabled", "trainer"),
        ("DeepSpeed or FSDP holds the parameters", "is_fsdp_enabled", "trainer"),
        ("torch_compile is set", "torch_compile", "args"),
        ("use_liger_kernel is set", "use_liger_kernel", "args"),
        ("the auxiliary loss", "aux_loss_enabled", "trainer"),
    ],
)
def test_settings_that_leave_training_to_trl(batch, caplog, reason, attribute, owner):
    scorer = Scorer(tiny_model("llama"))
    setattr(scorer.trainer.args if owner == "args" else scorer.trainer, attribute, True)
    assert_by_trl(scorer, batch, caplog, reason, has_gradient=True)


def test_gradient_checkpointing_leaves_training_to_trl_and_not_scoring(batch, caplog):
    model = tiny_model("llama").train()
    scorer = Scorer(model)
    expected = scored(scorer.theirs, batch)[0]
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert_by_trl(scorer, batch, caplog, "gradient_checkpointing is set", has_gradient=True)
    num_by_trl = scorer.num_by_trl
    torch.testing.assert_close(scored(scorer.ours, batch)[0], expected, **CLOSE)
    scored(scorer.ours, batch)
    assert scorer.num_by_trl == num_by_trl + 1  # the check of the model
    assert model.is_gradient_checkpointing


@pytest.mark.parametrize("changes", [{"attention_dropout": 0.1}, {"architecture": "gpt2", "resid_pdrop": 0.1}])
@pytest.mark.parametrize("has_gradient", [False, True])
def test_dropout_leaves_all_to_trl(batch, caplog, changes, has_gradient):
    model = tiny_model(**{"architecture": "llama", **changes}).train()
    assert_by_trl(Scorer(model), batch, caplog, "dropout is active", has_gradient)


def test_a_model_without_a_cache_for_attention_is_left_to_trl(batch, caplog):
    scorer = Scorer(tiny_model("mamba", state_size=4))
    assert_by_trl(scorer, batch, caplog, "MambaForCausalLM takes no cache or no positions")


def test_a_hybrid_cache_is_left_to_trl(batch, caplog):
    scorer = Scorer(tiny_model("lfm2", layer_types=["conv", "full_attention"]))
    assert_by_trl(scorer, batch, caplog, "its cache cannot be indexed (DynamicLayer, LinearAttentionLayer)")


def test_a_model_that_counts_positions_in_another_way_is_found_out(batch, caplog):
    """OPT leaves padding out as it counts; nothing in its signature says so."""
    model = tiny_model("opt", ffn_dim=48, dropout=0.0, word_embed_proj_dim=32)
    assert_by_trl(Scorer(model, share_prompts=False), batch, caplog, "it changes log-probabilities of OPTForCausalLM")


def test_a_model_that_counts_positions_in_another_way_is_found_out_in_bfloat16(batch, caplog):
    torch.manual_seed(0)
    model = tiny_model("opt", ffn_dim=48, dropout=0.0, word_embed_proj_dim=32).bfloat16()
    assert_by_trl(Scorer(model, share_prompts=False), batch, caplog, "it changes log-probabilities of OPTForCausalLM")


def test_what_depends_on_length_is_found_out_on_the_first_long_rows(batch, caplog):
    """Its config names a window, which its cache keeps to and its attention does not."""
    scorer = Scorer(tiny_model("llama", sliding_window=24), share_prompts=False)
    scored(scorer.ours, batch)
    scored(scorer.ours, batch)
    assert scorer.num_by_trl == 1  # the check, on rows within the window
    long = tiny_batch(torch.Generator().manual_seed(1), max_prompt=40)
    assert_by_trl(scorer, long, caplog, "it changes log-probabilities of LlamaForCausalLM")


def test_an_adapter_that_is_a_prompt_is_left_to_trl(batch, caplog):
    model = get_peft_model(tiny_model("llama"), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    assert_by_trl(Scorer(model.eval()), batch, caplog, "its adapter depends on the whole of the input")


def test_inputs_beside_texts_are_left_to_trl(batch, caplog):
    scorer = Scorer(tiny_model("llama"))
    scorer.by_trl = lambda model, *args, token_type_ids, **kwargs: (args[0] + token_type_ids, None, None)
    types = torch.ones_like(batch[0])
    assert_by_trl(scorer, batch, caplog, "the batch has other inputs than texts", token_type_ids=types)


def test_a_model_split_over_devices_by_rows_is_left_to_trl(batch, caplog):
    scorer = Scorer(tiny_model("llama"))
    wrapped = DataParallel(scorer.trainer.model)  # without a device it calls the model
    assert scorer.token_logprobs.reason_for_trls(wrapped, has_gradient=False) == "DataParallel splits the batch"


def test_prompts_of_one_token_are_computed_with_their_completions():
    generator = torch.Generator().manual_seed(0)
    ids, mask, width = tiny_batch(generator)
    start = ids.shape[1] - width
    mask[ids[:, start - 1] == ids[0, start - 1], : start - 1] = 0  # those of one prompt keep its last token
    scorer = Scorer(tiny_model("llama"))
    expected = scored(scorer.theirs, (ids, mask, width))[0]
    torch.testing.assert_close(scored(scorer.ours, (ids, mask, width))[0], expected, **CLOSE)
    scorer.num_by_trl = 0
    scorer.ours(ids, mask, width)
    assert scorer.num_by_trl == 1


def test_rows_of_different_prompts_are_trained_on_as_trl_does():
    batch = tiny_batch(torch.Generator().manual_seed(0), num_prompts=6, num_generations=1)
    scorer = Scorer(tiny_model("llama"))
    expected, found = scorer.theirs(*batch)[0], scorer.ours(*batch)[0]
    assert torch.equal(found, expected)
    assert scorer.num_by_trl == 2


def test_a_mixture_of_experts_is_scored_as_trl_does(batch):
    for seed in range(2):
        torch.manual_seed(seed)
        scorer = Scorer(tiny_model("mixtral", num_local_experts=4))
        torch.testing.assert_close(scored(scorer.ours, batch)[0], scored(scorer.theirs, batch)[0], **CLOSE)
        assert scorer.num_by_trl == 2

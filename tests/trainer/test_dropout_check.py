import pytest
import torch
from peft import LoraConfig, get_peft_model

from serl_trl.trainer.dropout_check import Dropouts
from tiny_models import tiny_model


def adapted(architecture, **changes):
    lora = LoraConfig(r=2, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(tiny_model(architecture, **changes), lora).train()


@pytest.mark.parametrize(
    ("architecture", "changes", "is_active"),
    [
        ("llama", {}, False),
        ("llama", {"attention_dropout": 0.1}, True),  # a number, not a module
        ("gpt2", {}, False),
        ("gpt2", {"attn_pdrop": 0.1}, True),
        ("phi3", {"resid_pdrop": 0.1}, True),
        ("mixtral", {"num_local_experts": 4}, False),
        ("mixtral", {"num_local_experts": 4, "router_jitter_noise": 0.1}, True),
    ],
)
def test_dropout_is_found_wherever_it_is_and_is_active_in_train_mode(architecture, changes, is_active):
    model = tiny_model(architecture, **changes)
    found = Dropouts(model)
    model.train()
    assert found.are_active() == is_active
    ids = torch.arange(3, 13)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, model(ids).logits) == (not is_active)
    model.eval()
    assert not found.are_active()


def test_that_of_an_adapter_is_not_active_while_the_adapter_is_disabled():
    model = adapted("llama")
    found = Dropouts(model)
    assert found.are_active()
    with model.disable_adapter():
        assert not found.are_active()
    model = adapted("gpt2", attn_pdrop=0.1)  # its base has some, too
    with model.disable_adapter():
        assert Dropouts(model).are_active()

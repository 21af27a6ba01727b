import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from serl_trl.trainer import trainable
from serl_trl.trainer.trainable import check_trainable, lost_share
from tiny_runs import SETTINGS, parameters, seeds


def trainer(tmp_path, model, **settings):
    args = SeRLConfig(output_dir=str(tmp_path), **{**SETTINGS, **settings})
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    return SeRLTrainer(model, args=args, train_dataset=seeds(), processing_class=tokenizer)


@pytest.fixture
def warnings(monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(trainable.logger, "warning", told.append)
    return told


@pytest.mark.parametrize("beta", [0.0, 0.01])
def test_an_adapter_loaded_for_inference_is_refused(tmp_path, beta):
    base = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    adapted = PeftModel.from_pretrained(base, tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"PeftModel.* has no trainable parameter.*is_trainable=True"):
        trainer(tmp_path / "run", adapted, beta=beta)
    assert not (tmp_path / "run").exists()
    base = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    trainer(tmp_path / "run", PeftModel.from_pretrained(base, tmp_path / "adapter", is_trainable=True), beta=beta)


def test_a_frozen_model_is_refused(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT).requires_grad_(False)
    with pytest.raises(ValueError, match=r"has no trainable parameter.*requires_grad_\(True\)"):
        trainer(tmp_path, model)
    model.model.norm.requires_grad_(True)
    check_trainable(model)


@pytest.mark.parametrize(("dtype", "learning_rate"), [("bfloat16", 5e-7), ("bfloat16", 1e-3), ("float16", 5e-7)])
def test_the_rule_tells_how_much_of_a_model_moves(tmp_path, warnings, dtype, learning_rate):
    """The share that stays, foretold, and as AdamW's first step leaves it: it moves each weight by the learning rate."""
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=dtype)
    share, found = lost_share(model.parameters(), learning_rate)
    assert found is getattr(torch, dtype)
    before = parameters(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    stayed = sum((before[name] == parameter).sum().item() for name, parameter in model.named_parameters())
    assert stayed / model.num_parameters() == pytest.approx(share, abs=0.02)
    trainer(tmp_path, model, learning_rate=learning_rate)
    told = [text for text in warnings if "lose a step" in text]
    assert len(told) == (share > 0.5)
    assert all(dtype in text and str(learning_rate) in text and "float32" in text for text in told)


def test_float32_weights_and_adapters_are_not_warned_of(tmp_path, warnings):
    trainer(tmp_path / "full", AutoModelForCausalLM.from_pretrained(CHECKPOINT), learning_rate=5e-7)
    base = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype="bfloat16")
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"]))
    trainer(tmp_path / "lora", adapted, learning_rate=5e-7)
    assert not warnings

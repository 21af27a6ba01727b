"""Where bitsandbytes cannot work, a quantised base is refused before anything is loaded or written."""

from types import SimpleNamespace
from typing import Any

import pytest
import transformers.integrations.bitsandbytes as integration
from transformers import BitsAndBytesConfig

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.cli import train as recipe
from serl_trl.trainer import quantization
from serl_trl.trainer.quantization import check_quantization
from short_recipe import SHORT
from tiny_runs import SETTINGS, seeds


@pytest.fixture(params=["not installed", "no device"])
def reason(request, monkeypatch):
    """Without the package; then with one that knows none of the devices here."""
    is_installed = request.param == "no device"
    monkeypatch.setattr(quantization, "is_bitsandbytes_available", lambda: is_installed)
    monkeypatch.setattr(integration, "bnb", SimpleNamespace(supported_torch_devices={"none"}), raising=False)
    return {"not installed": "pip install bitsandbytes", "no device": "cannot work here .*cpu"}[request.param]


@pytest.mark.parametrize("is_in_args", [True, False])
def test_trainer(tmp_path, reason, is_in_args):
    config = BitsAndBytesConfig(load_in_8bit=True)
    settings = {**SETTINGS, "model_init_kwargs": {"quantization_config": config}} if is_in_args else SETTINGS
    args = SeRLConfig(output_dir=str(tmp_path / "run"), **settings)
    given: dict[str, Any] = {} if is_in_args else {"quantization_config": config}
    with pytest.raises(ValueError, match=f"load_in_8bit needs bitsandbytes.*{reason}"):
        SeRLTrainer("no/such-model", args=args, train_dataset=seeds(), **given)
    assert not (tmp_path / "run").exists()


def test_recipe(tmp_path, reason):
    flags = [*SHORT, "--output_dir", str(tmp_path / "run"), "--use_peft", "--load_in_4bit", "true"]
    flags += ["--model_name_or_path", "no/such-model", "--use_cpu"]
    with pytest.raises(SystemExit, match=f"^error: load_in_4bit needs bitsandbytes.*{reason}"):
        recipe.main(flags)
    assert not (tmp_path / "run").exists()


def test_other_quantisations_are_not_judged(monkeypatch):
    monkeypatch.setattr(quantization, "is_bitsandbytes_available", lambda: False)
    check_quantization(None)
    check_quantization(SimpleNamespace(quant_method="gguf"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--merge_adapter", "true"], "no adapter to merge"),
        (["--merge_adapter", "true", "--use_peft", "--load_in_8bit", "true"], "quantised base"),
        (["--load_in_8bit", "true"], "--use_peft"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, flags, message):
    with pytest.raises(SystemExit, match=f"^error: .*{message}"):
        recipe.main([*SHORT, "--output_dir", str(tmp_path / "run"), *flags])
    assert not (tmp_path / "run").exists()

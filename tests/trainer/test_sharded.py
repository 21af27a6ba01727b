"""
Two gloo processes under DDP, FSDP2, ZeRO-2 and ZeRO-3, on the same scripted completions.

`make test-slow` runs DDP and FSDP2, `make test-deepspeed` installs DeepSpeed and runs all of them.
"""

import itertools
import json
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM

from launching import LAUNCH, ROOT, by_accelerate
from serl_trl.laboratory import CHECKPOINT


pytestmark = [pytest.mark.slow, pytest.mark.multiprocess]

ON_A_CPU = {"num_processes": 2, "use_cpu": True, "mixed_precision": "no"}
CONFIGS = {"ddp": "cpu", "fsdp2": "fsdp2", "zero2": "deepspeed_zero2", "zero3": "deepspeed_zero3"}
BACKENDS = {"ddp": "MULTI_CPU", "fsdp2": "FSDP", "zero2": "DEEPSPEED", "zero3": "DEEPSPEED"}
TOLERANCE = 1e-6  # measured: at most 6e-8


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder for each backend, whose configuration is the one we ship but for what a CPU needs."""
    folders = {}

    def run(name):
        if name.startswith("zero"):
            pytest.importorskip("deepspeed")
        if name not in folders:
            folder = folders[name] = tmp_path_factory.mktemp(name)
            config = yaml.safe_load((ROOT / "accelerate_configs" / f"{CONFIGS[name]}.yaml").read_text()) | ON_A_CPU
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            launch = [*LAUNCH[:-1], str(folder / "config.yaml")]
            arguments = (folder, "scripted", "real", "broken")
            by_accelerate("distributed_sharded.py", *arguments, launch=launch).check_returncode()
        return folders[name]

    return run


ALL = pytest.mark.parametrize("name", CONFIGS)
SHARDED = pytest.mark.parametrize("name", [name for name in CONFIGS if name != "ddp"])


def records(folder: Path):
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def weights(folder: Path):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def distance(first, second):
    return max((first[name] - second[name]).abs().max().item() for name in first)


@ALL
def test_the_backend_is_what_runs(runs, name):
    assert [record["backend"] for record in records(runs(name))] == [f"DistributedType.{BACKENDS[name]}"] * 2


@SHARDED
def test_every_step_is_that_of_ddp(runs, name):
    start = weights(CHECKPOINT)
    ours, theirs = (torch.load(runs(key) / "steps.pt") for key in (name, "ddp"))
    assert len(ours) == len(theirs) == 5
    assert distance(theirs[-1], start) > 1000 * TOLERANCE
    assert max(map(distance, ours, theirs)) < TOLERANCE
    for record, other in zip(records(runs(name)), records(runs("ddp")), strict=True):
        for key, values in other["whole"].items():
            assert record["whole"][key] == pytest.approx(values, rel=1e-4, abs=1e-5), key


@ALL
def test_nothing_kept_moves_nothing(runs, name):
    passed = [weights(CHECKPOINT), *torch.load(runs(name) / "steps.pt")]
    moved = [distance(before, after) > 0 for before, after in itertools.pairwise(passed)]
    assert moved == [False, True, False, True, True]
    assert records(runs(name))[0]["whole"]["serl/gate/frac_empty_steps"] == [1.0, 0.0, 1.0, 0.0, 0.0]


@ALL
def test_a_resumed_run_ends_as_the_one_that_was_not_stopped(runs, name):
    for record in records(runs(name)):
        assert record["resumed"]
        assert record["again"] == record["whole"]


@SHARDED
def test_the_policy_writes_and_the_model_that_is_saved_is_the_one_trained(runs, name):
    first, second = records(runs(name))
    assert first["instructions"] == second["instructions"] == records(runs("ddp"))[0]["instructions"]
    assert first["checksum"] == second["checksum"]
    assert distance(torch.load(runs(name) / "real.pt"), weights(runs(name) / "model")) == 0


@ALL
def test_a_loss_that_is_no_number_ends_all_processes_and_moves_nothing(runs, name):
    for record in records(runs(name)):
        assert record["error"].startswith("At step 2 the loss is not finite; nothing was trained on it.")
        assert record["unmoved"]
        assert record["num_steps"] == 1

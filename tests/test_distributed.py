import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serl_trl import MajorityVoteReward


ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What both processes of a run saw."""
    folder = tmp_path_factory.mktemp("two_processes")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yaml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    subprocess.run(
        [*launch, "tests/distributed_rollout.py", str(folder)], cwd=ROOT, env=environment, check=True, timeout=300
    )
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.multiprocess
def test_the_configuration_starts_two_processes(ranks):
    assert [rank["num_processes"] for rank in ranks] == [2, 2]


@pytest.mark.multiprocess
def test_both_processes_have_the_same_instructions_and_parameters(ranks):
    assert ranks[0]["instructions"] == ranks[1]["instructions"]
    assert ranks[0]["instructions"]
    assert ranks[0]["checksum"] == ranks[1]["checksum"]


@pytest.mark.multiprocess
def test_a_group_that_straddles_the_processes_is_voted_on_as_in_one(ranks):
    reward = MajorityVoteReward()
    for first, second in zip(ranks[0]["rollouts"], ranks[1]["rollouts"], strict=True):
        assert len(first["completions"]) == len(second["completions"]) == 6
        texts = first["completions"] + second["completions"]
        expected = [value for i in range(0, len(texts), 4) for value in reward.vote(texts[i : i + 4]).rewards]
        assert first["rewards"] == second["rewards"] == expected


@pytest.mark.multiprocess
def test_moments_and_denominators_are_global(ranks):
    for pair in zip(ranks[0]["rollouts"], ranks[1]["rollouts"], strict=True):
        values = [
            value
            for rollout in pair
            for advantages, mask in zip(rollout["advantages"], rollout["mask"], strict=True)
            for value, is_kept in zip(advantages, mask, strict=True)
            if is_kept
        ]
        assert pair[0]["num_items_in_batch"] == pair[1]["num_items_in_batch"] == len(values)
        if values:
            mean = sum(values) / len(values)
            assert mean == pytest.approx(0, abs=1e-4)
            assert sum((value - mean) ** 2 for value in values) / len(values) == pytest.approx(1, abs=1e-3)

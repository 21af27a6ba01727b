"""How many threads a command takes."""

import os

import pytest
import torch

from serl_trl.cli.train_inputs import use_cores


@pytest.mark.parametrize(
    ("environment", "num_processes", "expected"),
    [
        ({}, 1, 6),
        ({}, 4, 1),  # of six cores
        ({}, 8, 1),
        ({"OMP_NUM_THREADS": "3"}, 1, 3),
        ({"OMP_NUM_THREADS": "1", "LOCAL_RANK": "0"}, 2, 3),  # set by accelerate's launcher
    ],
)
def test_a_process_takes_its_cores_unless_the_user_has_said_how_many(
    monkeypatch, environment, num_processes, expected
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    number, before = [3], torch.get_num_threads()  # with which PyTorch starts where the variable says so
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: number.append(threads))
    use_cores(num_processes)
    assert number[-1] == expected
    assert torch.get_num_threads() == before

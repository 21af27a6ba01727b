import random
from dataclasses import replace

import pytest
import torch

from serl_trl.laboratory import build


def test_terse_solutions_are_the_answer_alone():
    problem = build.random_problem(random.Random(0), 3)
    assert build.solution(problem, random.Random(1), terse_share=1.0) == f"\\boxed{{{problem.answer}}}"


def test_clean_steps_are_the_equations(monkeypatch):
    monkeypatch.setattr(build, "NOISY_STEP_SHARE", 0.0)
    problem = build.random_problem(random.Random(0), 3)
    *lines, box = build.solution(problem, random.Random(1), terse_share=0.0).splitlines()
    assert tuple(lines) == problem.equations
    assert box == f"\\boxed{{{problem.answer}}}"


def test_a_wrong_step_is_carried_on(monkeypatch):
    monkeypatch.setattr(build, "NOISY_STEP_SHARE", 1.0)
    problem = build.Problem("", ("10+5=15", "15-2=13"), 13)
    first, second, box = build.solution(problem, random.Random(1), terse_share=0.0).splitlines()
    wrong = first.split("=")[1]
    assert wrong != "15"
    assert second.startswith(f"{wrong}-2=")
    assert box == f"\\boxed{{{second.split('=')[1]}}}"


@pytest.mark.slow
def test_one_seed_builds_one_model(tmp_path):
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        rng = random.Random(0)
        tokenizer = build.build_tokenizer(rng)
        model = build.build_model(tokenizer)
        build.warm_up(model, tokenizer, rng, replace(build.PHASES[1], num_steps=2))
        models.append(model.state_dict())
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl import evaluation
from serl_trl.evaluation import evaluate, generate
from serl_trl.tiny import CHECKPOINT, word_problems


@pytest.fixture(scope="module")
def policy():
    return AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)


def problems(num_problems):
    rows = word_problems(num_problems, "evaluation tests")
    return [[{"role": "user", "content": text}] for text in rows["prompt"]], list(rows["answer"])


def test_scores_of_known_completions(policy, monkeypatch):
    """Two problems, four samples each; every figure below is counted by hand."""
    scripted = {
        False: [("\\boxed{7}", 3), ("I cannot say", 5)],
        True: [
            *[("\\boxed{7}", 4), ("\\boxed{7}", 4), ("\\boxed{8}", 4), ("nothing", 4)],
            *[("\\boxed{1}", 2), ("\\boxed{3}", 2), ("\\boxed{3}", 2), ("\\boxed{3}", 6)],
        ],
    }
    monkeypatch.setattr(evaluation, "generate", lambda *args, do_sample, **kwargs: scripted[do_sample])
    report = evaluate(*policy, ["first?", "second?"], ["7", "1"], num_samples=4)
    assert report.greedy.tolist() == [1, 0]
    assert report.sampled.tolist() == [0.5, 0.25]
    assert report.majority.tolist() == [1, 0]
    assert report.no_answer.tolist() == [0.25, 0]
    assert report.length_tokens.tolist() == [4, 3]
    assert report.scores()["maj@4"].mean == 0.5


def test_measuring_leaves_no_trace_and_repeats(policy):
    model, tokenizer = policy
    prompts, answers = problems(6)
    model.train()
    state = torch.get_rng_state()
    settings = {"num_samples": 4, "max_new_tokens": 30}
    first = evaluate(model, tokenizer, prompts, answers, **settings)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    torch.rand(5)
    second = evaluate(model, tokenizer, prompts, answers, **settings)
    np.testing.assert_array_equal(first.sampled, second.sampled)


def test_greedy_completions_do_not_depend_on_the_batch(policy):
    prompts, _ = problems(9)
    settings = {"max_new_tokens": 30, "do_sample": False}
    alone, together = (generate(*policy, prompts, batch_size=size, **settings) for size in (1, 9))
    assert alone == together


def test_a_checkpoints_own_sampling_settings_do_not_interfere(policy):
    model, tokenizer = policy
    prompts, _ = problems(1)
    before = model.generation_config.top_k
    model.generation_config.top_k = 1  # would make every sample the greedy one
    try:
        texts = generate(
            model, tokenizer, prompts * 32, batch_size=32, max_new_tokens=30, do_sample=True, temperature=2.0, top_k=0
        )
    finally:
        model.generation_config.top_k = before
    assert len({text for text, _ in texts}) > 1


@pytest.mark.parametrize("answers", [[], ["1", "2"]])
def test_every_prompt_needs_an_answer(policy, answers):
    with pytest.raises(ValueError, match=f"1 prompts and {len(answers)} answers"):
        evaluate(*policy, ["?"], answers)


def test_every_process_generates_as_often_and_each_problem_counts_once(policy, monkeypatch):
    """Four problems on three processes: the last is the first one's, and the others repeat it; the third gets all wrong."""
    gathered, sizes = [], []

    def report_of(rank):
        def generate(model, tokenizer, prompts, **kwargs):
            sizes.append(len(prompts))
            return [("\\boxed{9}" if rank == 2 else f"\\boxed{{{prompt}}}", 1) for prompt in prompts]

        def gather(rows):  # as if the processes behind this one had nothing right
            gathered.extend(rows)
            return [*gathered, *((i, 0, 0, 0, 0, 0) for i in range(4))]

        monkeypatch.setattr(evaluation, "generate", generate)
        monkeypatch.setattr(evaluation, "gather_object", gather)
        monkeypatch.setattr(evaluation, "PartialState", lambda: SimpleNamespace(process_index=rank, num_processes=3))
        return evaluate(*policy, ["1", "2", "3", "4"], ["1", "2", "3", "4"], num_samples=2)

    reports = [report_of(rank) for rank in range(3)]
    assert sizes == [2, 4] * 3  # greedily, and two samples each
    assert reports[-1].greedy.tolist() == [1, 1, 0, 1]

"""The method in one file: its parts beside the package's own, and that it learns."""

import itertools

import pytest
import torch
from rouge_score.rouge_scorer import RougeScorer
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer

import serl_loop
from serl_loop import Settings
from serl_trl import majority_vote
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.trainer.advantages import reinforce_plus_plus


@pytest.mark.parametrize(
    "completions",
    [
        [r"\boxed{7}", "no idea", r"\boxed{8}", r"\boxed{7.0}"],
        [r"\boxed{1/2}", r"\boxed{0.5}", r"\boxed{2}", r"\boxed{\frac{1}{2}}"],
        ["no idea", "none", "who knows", "?"],
    ],
)
def test_vote_is_that_of_the_package(completions):
    vote = majority_vote(completions)
    assert serl_loop.vote(completions) == (vote.rewards, vote.share)


def test_similarity_is_rouge_l():
    scorer = RougeScorer(["rougeL"])
    texts = word_problems(6, "similarity")["prompt"][:]
    for a, b in itertools.pairwise(texts):
        expected = scorer.score(a, b)["rougeL"].fmeasure
        assert serl_loop.rouge_l(serl_loop.words_of(a), serl_loop.words_of(b)) == pytest.approx(expected)


def test_advantages_are_those_of_reinforce_plus_plus():
    torch.manual_seed(0)
    rewards, kl = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.randn(4, 5)
    mask = torch.arange(5) < torch.tensor([[5], [2], [1], [4]])
    expected = reinforce_plus_plus(rewards, kl, mask, num_generations=2, kl_coef=0.1)
    assert_close(serl_loop.advantages_of(rewards, kl, mask, 0.1), expected)


def test_log_probabilities_are_those_of_the_tokens():
    model, tokenizer = AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)
    prompts = word_problems(2, "log-probabilities")["prompt"][:]
    ids, attention, mask, texts = serl_loop.generate(model, tokenizer, prompts, 12, temperature=0)
    logps = serl_loop.token_logps(model, ids, attention, mask.shape[1])
    assert logps.shape == mask.shape
    row = ids[1][attention[1] == 1][None]  # without padding, as it stands alone
    num_tokens = int(mask[1].sum())
    alone = model(row).logits[0, -num_tokens - 1 : -1].log_softmax(-1)
    assert_close(logps[1, :num_tokens], alone.gather(1, row[0, -num_tokens:, None])[:, 0], atol=1e-4, rtol=1e-4)
    assert alone.argmax(-1).tolist() == row[0, -num_tokens:].tolist()  # greedy
    assert tokenizer.decode(row[0, -num_tokens:], skip_special_tokens=True) == texts[1]


def test_groups_outside_the_band_change_nothing():
    model, reference = (AutoModelForCausalLM.from_pretrained(CHECKPOINT) for _ in range(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    instructions = word_problems(2, "band")["prompt"][:]
    parts = (model, reference, AutoTokenizer.from_pretrained(CHECKPOINT), optimizer, instructions)
    before = [parameter.clone() for parameter in model.parameters()]
    figures = serl_loop.train_step(*parts, Settings(num_generations=4, min_share=2.0, max_share=2.0))
    assert figures["groups kept"] == 0
    assert all(map(torch.equal, before, model.parameters()))
    figures = serl_loop.train_step(*parts, Settings(num_generations=4, min_share=0.0, max_share=1.0))
    assert figures["groups kept"] == 1
    assert not any(map(torch.equal, before, model.parameters()))


def test_two_tiny_steps(capsys):
    tiny = Settings(num_iterations=2, steps_per_iteration=1, prompts_per_step=2, num_generations=4)
    tiny.requests_per_round, tiny.num_eval_problems = 8, 8
    before, after = serl_loop.run(tiny)
    assert set(before) == set(after) == {"greedy", "sampled"}
    told = capsys.readouterr().out
    assert told.count("2 new instructions, such as: ") == 2
    assert told.count("vote share") == 2


@pytest.mark.slow
def test_it_learns():
    before, after = serl_loop.run(Settings(num_iterations=1, steps_per_iteration=4, num_generations=8))
    assert before["greedy"] < 0.35
    assert after["greedy"] > before["greedy"] + 0.3
    assert after["sampled"] > before["sampled"] + 0.05

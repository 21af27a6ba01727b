"""Random numbers of rows: the same whatever else is drawn, and drawn from as probabilities say."""

import hashlib

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.prompts.decoding import Decoding, Sampling
from serl_trl.prompts.row_draws import drawn_tokens, row_seed, row_uniforms


@pytest.fixture(scope="module")
def policy():
    model, tokenizer = AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)
    return model, Decoding.of(model, tokenizer)


def prompts(num):
    return [[{"role": "user", "content": text}] for text in word_problems(num, "row draws")["prompt"]]


@pytest.mark.parametrize("num_tokens", [1, 7, 16, 17, 1000])
def test_the_first_numbers_do_not_depend_on_how_many_there_are(num_tokens):
    numbers = row_uniforms(3, 5, num_tokens)
    assert numbers.dtype == torch.float64
    assert numbers.shape == (num_tokens,)
    assert torch.equal(row_uniforms(3, 5, 2048)[:num_tokens], numbers)


def test_the_seed_is_that_of_the_hash():
    digest = hashlib.sha256(b"3:5").hexdigest()[:16]
    assert row_seed(3, 5) == int(digest, 16) % 2**63
    assert len({row_seed(seed, row) for seed in range(30) for row in range(30)}) == 900


def test_numbers_of_neighbouring_rows_are_uniform_and_unrelated():
    numbers = torch.stack([row_uniforms(0, row, 100) for row in range(1000)])  # their mean has a deviation of 9e-4
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.004
    assert abs(numbers[:, 0].var() - 1 / 12) < 0.012
    assert abs(torch.corrcoef(torch.stack([numbers[:-1].flatten(), numbers[1:].flatten()]))[0, 1]) < 0.015


def test_tokens_are_drawn_with_their_probabilities():
    probabilities = torch.tensor([0.25, 0.0, 0.1, 0.6, 0.05])
    num = 20_000
    uniforms = (torch.arange(num, dtype=torch.float64) + 0.5) / num  # each as often as any other
    shares = drawn_tokens(probabilities.expand(num, -1), uniforms).bincount(minlength=5) / num
    assert torch.allclose(shares, probabilities, atol=1e-4)


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_a_token_of_probability_0_is_never_drawn(number):
    torch.manual_seed(0)
    scores = torch.tensor([[-torch.inf, 0.1, 0.3, -torch.inf]]).repeat(50, 1) + torch.rand(50, 1)
    chosen = drawn_tokens(scores.softmax(-1), torch.full((50,), number, dtype=torch.float64))
    assert (chosen == (1 if number == 0 else 2)).all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_completions_depend_neither_on_batches_nor_on_what_else_is_asked(policy, temperature):
    model, decoding = policy
    asked, sampling = prompts(12), Sampling(24, temperature, seed=4)
    whole = decoding.complete(model, asked, sampling, 12)
    assert [decoding.complete(model, asked, sampling, size) for size in (1, 5)] == [whole, whole]
    some = (7, 2, 9)
    numbered = Sampling(24, temperature, seed=4, rows=some)
    assert decoding.complete(model, [asked[i] for i in some], numbered, 2) == [whole[i] for i in some]


def test_rows_and_seeds_draw_for_themselves(policy):
    model, decoding = policy
    [prompt] = prompts(1)
    samples = decoding.complete(model, [prompt] * 16, Sampling(24, 1.0, seed=4), 16)
    assert len(set(samples)) > 4
    assert decoding.complete(model, [prompt] * 16, Sampling(24, 1.0, seed=5), 16) != samples


def test_no_random_state_moves(policy):
    model, decoding = policy
    state = torch.get_rng_state()
    beams = Decoding(decoding.tokenizer, decoding.eos_token_ids, generation_kwargs={"num_beams": 2})
    for rules in (decoding, beams):
        first = rules.complete(model, prompts(3), Sampling(8, 1.0, seed=4), 3)
        torch.rand(3)
        assert rules.complete(model, prompts(3), Sampling(8, 1.0, seed=4), 3) == first
        torch.set_rng_state(state)
        rules.complete(model, prompts(3), Sampling(8, 1.0, seed=4), 3)
        assert torch.equal(torch.get_rng_state(), state)


def test_other_rules_of_the_policy_hold_where_rows_draw(policy):
    model, decoding = policy
    barred = Decoding(decoding.tokenizer, decoding.eos_token_ids, generation_kwargs={"suppress_tokens": [33, 97]})
    sampling, asked = Sampling(24, 1.0, seed=4), prompts(6)
    plain = [decoding.tokenizer(text)["input_ids"] for text, _ in decoding.complete(model, asked, sampling, 6)]
    kept = [decoding.tokenizer(text)["input_ids"] for text, _ in barred.complete(model, asked, sampling, 6)]
    assert any({33, 97} & set(ids) for ids in plain)
    assert not any({33, 97} & set(ids) for ids in kept)


def test_each_prompt_needs_a_number(policy):
    model, decoding = policy
    with pytest.raises(ValueError, match="3 prompts and 2 numbers of rows"):
        decoding.complete(model, prompts(3), Sampling(8, 1.0, rows=(0, 1)), 3)

"""What the issue asks of the bundled base model, measured on the model that is in the package."""

import random

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl.evaluation.evaluate import evaluate
from serl_trl.evaluation.generators import transformers_engine
from serl_trl.instructions.prompts import few_shot_prompt
from serl_trl.instructions.reply_parser import parse_reply
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.laboratory.word_problems import solve
from serl_trl.prompts.decoding import Sampling
from serl_trl.types import Reply


@pytest.fixture(scope="module")
def policy():
    return AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)


def test_size(policy):
    assert policy[0].num_parameters() <= 2_000_000
    assert (CHECKPOINT / "model.safetensors").stat().st_size <= 5_000_000


@pytest.mark.parametrize("text", ["What is \\frac{1}{2} of 12,345?", "Ägypten — 日本\n\ttabs", "3.5 % of {x}"])
def test_any_text_survives_the_tokenizer(policy, text):
    tokenizer = policy[1]
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.slow
def test_the_majority_is_worth_more_than_one_answer(policy):
    rows = word_problems(256, "held_out")
    prompts = [[{"role": "user", "content": text}] for text in rows["prompt"]]
    report = evaluate(transformers_engine(*policy), prompts, list(rows["answer"]), num_samples=16, max_new_tokens=40)
    greedy, sampled, majority = report.greedy.mean(), report.sampled.mean(), report.majority.mean()
    assert 0.35 <= sampled <= 0.65
    assert greedy <= majority - 0.08
    assert sampled <= majority - 0.15


@pytest.mark.slow
def test_most_of_what_it_writes_is_well_formed(policy):
    """As the laboratory asks for it (recipes/configs/tiny_cpu.yaml): 4 shown problems, temperature 0.4."""
    rng = random.Random(0)
    seeds = list(word_problems(128, "seeds")["prompt"])
    prompts = [[{"role": "user", "content": few_shot_prompt(rng.sample(seeds, 4))}] for _ in range(256)]
    replies = transformers_engine(policy[0], policy[1], batch_size=128)(
        prompts, Sampling(96, temperature=0.4, top_p=0.95)
    )
    texts = [text for reply, _ in replies for text in parse_reply(Reply(reply))]
    assert sum(solve(text) is not None for text in texts) >= 0.6 * len(replies)

import hashlib
import sys
import types

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl.evaluation.evaluate import evaluate
from serl_trl.evaluation.generators import VLLMEngine, transformers_engine
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.prompts.decoding import Decoding, Sampling


@pytest.fixture(scope="module")
def policy():
    return AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)


def prompts(num_problems):
    return [[{"role": "user", "content": text}] for text in word_problems(num_problems, "engine tests")["prompt"]]


def test_completing_leaves_no_trace_and_repeats(policy):
    engine, sampling = transformers_engine(policy[0], policy[1], batch_size=4), Sampling(20, temperature=1.0, seed=3)
    policy[0].train()
    state = torch.get_rng_state()
    first = engine(prompts(6), sampling)
    assert torch.equal(state, torch.get_rng_state())
    assert policy[0].training
    torch.rand(5)
    assert engine(prompts(6), sampling) == first
    assert engine(prompts(6), Sampling(20, temperature=1.0, seed=4)) != first


def test_temperature_zero_is_greedy(policy):
    engine, (model, tokenizer) = transformers_engine(*policy), policy
    [(text, length)] = engine(prompts(1), Sampling(20, seed=1))
    assert engine(prompts(1), Sampling(20, seed=2)) == [(text, length)]
    ids = tokenizer.apply_chat_template(prompts(1)[0], add_generation_prompt=True, return_dict=True)["input_ids"]
    for _ in range(length):  # by hand: the likeliest token, again and again
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    assert tokenizer.decode(ids[-length:], skip_special_tokens=True) == text
    assert ids[-1] == tokenizer.eos_token_id


def test_greedy_completions_do_not_depend_on_the_batch(policy):
    alone, together = (
        transformers_engine(policy[0], policy[1], batch_size=size)(prompts(9), Sampling(30)) for size in (1, 9)
    )
    assert alone == together


def test_what_vllm_is_asked_for(policy, monkeypatch):
    """Against vLLM's side of the interface as it is written down here; tests/rollouts/test_vllm.py runs the real one."""
    asked = []

    class LLM:
        def generate(self, asked_prompts, params, use_tqdm):
            asked.append((asked_prompts, params))
            output = types.SimpleNamespace(text="\\boxed{1}", token_ids=[5, 6, 7])
            return [types.SimpleNamespace(outputs=[output])] * len(asked_prompts)

    vllm = types.ModuleType("vllm")
    vllm.SamplingParams = lambda **settings: settings  # type: ignore[attr-defined]  # the stand-in's
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    decoding = Decoding(policy[1], (1, 9))
    sampling = Sampling(9, temperature=0.7, top_p=0.9, seed=4, rows=(3, 8))
    found = VLLMEngine(LLM(), decoding)(prompts(2), sampling)
    assert found == [("\\boxed{1}", 3)] * 2
    [(asked_prompts, params)] = asked
    assert asked_prompts == [{"prompt_token_ids": ids} for ids in decoding.prompt_ids(prompts(2))]
    expected = {"max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "stop_token_ids": [1, 9]}
    # of a row its own, whatever rows are beside it
    seeds = [int(hashlib.sha256(f"4:{row}".encode()).hexdigest()[:16], 16) % 2**63 for row in (3, 8)]
    assert params == [{**expected, "seed": seed} for seed in seeds]


def test_scores_do_not_depend_on_the_batch_size_or_on_what_else_is_measured(policy):
    rows = word_problems(12, "engine tests")
    asked, answers = prompts(12), list(rows["answer"])

    def found(num_problems, batch_size, engine_size):
        known: dict = {}
        engine = transformers_engine(policy[0], policy[1], engine_size)
        evaluate(
            *(engine, asked[:num_problems], answers[:num_problems]),
            num_samples=4,
            max_new_tokens=24,
            batch_size=batch_size,
            seed=3,
            known=known,
        )
        return known

    whole = found(12, 256, 256)
    assert found(12, 4, 4) == whole
    assert found(12, 20, 3) == whole
    assert found(5, 256, 256) == {key: row for key, row in whole.items() if key[1] < 5}


def test_lengths_are_those_of_the_tokens_that_are_asked(policy):
    engine = transformers_engine(*policy)
    texts = ["1 + 1", *prompts(2)]
    tokens = [len(ids) for ids in Decoding.of(*policy).prompt_ids(texts)]
    assert engine.prompt_lengths(texts) == tokens

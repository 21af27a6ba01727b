import sys
import types

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl.engines import Sampling, generate, transformers_engine, vllm_engine
from serl_trl.tiny import CHECKPOINT, word_problems


@pytest.fixture(scope="module")
def policy():
    return AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)


def prompts(num_problems):
    return [[{"role": "user", "content": text}] for text in word_problems(num_problems, "engine tests")["prompt"]]


def test_completing_leaves_no_trace_and_repeats(policy):
    engine, sampling = transformers_engine(*policy, batch_size=4), Sampling(20, temperature=1.0, seed=3)
    policy[0].train()
    state = torch.get_rng_state()
    first = engine(prompts(6), sampling)
    assert torch.equal(state, torch.get_rng_state())
    assert policy[0].training
    torch.rand(5)
    assert engine(prompts(6), sampling) == first
    assert engine(prompts(6), Sampling(20, temperature=1.0, seed=4)) != first


def test_temperature_zero_is_greedy(policy):
    engine = transformers_engine(*policy)
    expected = generate(*policy, prompts(4), batch_size=4, max_new_tokens=20, do_sample=False)
    assert engine(prompts(4), Sampling(20, seed=1)) == engine(prompts(4), Sampling(20, seed=2)) == expected


def test_greedy_completions_do_not_depend_on_the_batch(policy):
    alone, together = (transformers_engine(*policy, batch_size=size)(prompts(9), Sampling(30)) for size in (1, 9))
    assert alone == together


def test_a_checkpoints_own_sampling_settings_do_not_interfere(policy):
    model = policy[0]
    before = model.generation_config.top_k
    model.generation_config.top_k = 1  # would make every sample the greedy one
    try:
        texts = transformers_engine(*policy)(prompts(1) * 32, Sampling(30, temperature=2.0))
    finally:
        model.generation_config.top_k = before
    assert len({text for text, _ in texts}) > 1


def test_what_vllm_is_asked_for(monkeypatch):
    """Against vLLM's side of the interface as it is written down here: vLLM itself has not run this engine yet."""
    asked = []

    class LLM:
        def chat(self, messages, params, use_tqdm):
            asked.append((messages, params))
            output = types.SimpleNamespace(text="\\boxed{1}", token_ids=[5, 6, 7])
            return [types.SimpleNamespace(outputs=[output])] * len(messages)

    vllm = types.ModuleType("vllm")
    vllm.SamplingParams = lambda **settings: settings
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    found = vllm_engine(LLM())(prompts(2), Sampling(9, temperature=0.7, top_p=0.9, seed=4))
    assert found == [("\\boxed{1}", 3)] * 2
    [(messages, params)] = asked
    assert messages == prompts(2)
    assert params == [{"max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "seed": seed} for seed in (4, 5)]

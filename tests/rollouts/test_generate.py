"""Rollouts and instructions from a vLLM server, as far as no server is needed: its client is a stand-in."""

import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
import trl.generation.vllm_generation
from transformers import PreTrainedTokenizerBase

import serl_trl.rollouts.generate
import serl_trl.trainer.input_checks
from serl_trl.laboratory import word_problems
from serl_trl.types import Prompt
from tiny_runs import parameters, trainer


class Client:
    """Writes problems where a presence penalty is asked for, and else gives answers 7 and 8 in turn."""

    problems: Iterator[str]
    tokenizer: PreTrainedTokenizerBase

    def __init__(self, base_url, group_port, connection_timeout):
        self.base_url, self.requests, self.received = base_url, [], []

    def init_communicator(self, device):
        pass

    def get_server_info(self):
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def update_named_params(self, metadata, named_params):
        self.received.append({name: parameter.clone() for name, parameter in named_params})

    def reset_prefix_cache(self):
        pass

    def generate(self, prompts, n, generation_kwargs, **settings):
        self.requests.append({"prompts": prompts, "n": n, **generation_kwargs, **settings})
        is_writing = "presence_penalty" in generation_kwargs
        texts = [next(self.problems) if is_writing else f". \\boxed{{{7 + i % 2}}}" for _ in prompts for i in range(n)]
        ids = [[*self.tokenizer.encode(text, add_special_tokens=False), self.tokenizer.eos_token_id] for text in texts]
        return {"prompt_ids": prompts, "completion_ids": ids, "logprobs": [[[-0.1]] * len(row) for row in ids]}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(trl.generation.vllm_generation, "VLLMClient", Client)
    monkeypatch.setattr(trl.generation.vllm_generation, "is_vllm_available", lambda: True)
    monkeypatch.setattr(serl_trl.trainer.input_checks, "check_vllm", lambda args: None)
    run = trainer(tmp_path, use_vllm=True, vllm_mode="server", num_train_epochs=2)
    Client.problems, Client.tokenizer = iter(word_problems(100, "written")["prompt"]), run.processing_class
    return run


def test_a_server_is_asked_once_for_a_group_and_once_for_an_instruction(run):
    client = run.vllm_generation.vllm_client
    passed, sync = [], run.vllm_generation.sync_weights

    def noted():
        passed.append(parameters(run.model))
        sync()

    run.vllm_generation.sync_weights = noted
    run.train()
    kinds = [
        (r["n"], r["temperature"], r["top_p"], r["max_tokens"], r.get("presence_penalty")) for r in client.requests
    ]
    writing, rollout = (1, 0.8, 0.95, 80, 2.0), (4, 1.0, 1.0, 24, None)
    assert kinds == [writing, rollout, rollout, writing, rollout, rollout]
    assert [len(request["prompts"]) for request in client.requests] == [16, 4, 4, 16, 4, 4]
    assert len({tuple(prompt) for prompt in client.requests[1]["prompts"]}) == 4
    # new weights once a step, before anything is written or answered with them
    assert len(client.received) == 4
    for sent, policy in zip(client.received, passed, strict=True):
        assert all(torch.equal(value, policy[name]) for name, value in sent.items())
    name = "model.embed_tokens.weight"
    assert not any(torch.equal(before[name], after[name]) for before, after in itertools.pairwise(client.received))


def test_answers_of_a_server_are_voted_on_group_by_group(run):
    run.train()
    drawn = run.train_dataset.queue[: run.train_dataset.cursor.position]
    assert drawn
    assert {(instruction.vote_share, instruction.vote_answer) for instruction in drawn} == {(0.5, "7")}


@pytest.mark.parametrize("num_processes", [1, 2, 4])
def test_replies_are_in_the_order_of_the_requests_whoever_writes_them(tmp_path, monkeypatch, num_processes):
    """Five requests, so that two or four processes repeat some; a reply is its request and the process that wrote it."""
    module = serl_trl.rollouts.generate
    texts: list[Prompt] = [f"{i} + {i}" for i in range(5)]
    policy, parts = trainer(tmp_path), []
    encode = policy.processing_class.encode

    class GatheredError(Exception):
        pass

    def completed(policy, prompts, num_generations):
        ids = [encode(f"{prompt} by {here.process_index}") for prompt in prompts]
        return None, ids, None

    def noted(part):
        parts.append(part)
        raise GatheredError

    monkeypatch.setattr(module, "_completed", completed)
    monkeypatch.setattr(module, "gather_object", noted)
    for rank in range(num_processes):
        here = SimpleNamespace(num_processes=num_processes, process_index=rank)
        monkeypatch.setattr(policy, "accelerator", here)
        with pytest.raises(GatheredError):
            module.written_replies(policy, texts, seed=1)
    assert len({len(part) for part in parts}) == 1
    monkeypatch.setattr(module, "gather_object", lambda part: [row for part in parts for row in part])
    replies = module.written_replies(policy, texts, seed=1)
    share = -(-5 // num_processes)
    assert [reply.text for reply in replies] == [f"{text} by {i // share}" for i, text in enumerate(texts)]

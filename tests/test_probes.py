import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from serl_trl.probes import Probes
from serl_trl.refill import Rollout
from serl_trl.voting import majority_vote
from test_serl_trainer import trainer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trainer(tmp_path_factory.mktemp("run"), num_generations=4, generation_batch_size=16)


def test_a_look_asks_every_probe_and_leaves_no_trace(run):
    probes = Probes(run, run.seed_prompts()[:5])  # five groups are more than a generation batch has
    state, mode, logged = torch.get_rng_state(), run.model.training, dict(run._metrics["train"])
    metrics = probes.look()
    assert torch.equal(torch.get_rng_state(), state)
    assert run.model.training == mode
    assert run._metrics["train"] == logged
    assert run.generation_config.do_sample
    assert run.num_generations == 4
    assert 0 <= metrics["serl/probe/disagreement"] <= 1
    assert 1 / 5 <= metrics["serl/probe/frac_top_answer"] <= 1
    assert 1 < metrics["serl/probe/length_tokens"] <= 24


def test_a_policy_that_stays_the_same_agrees_with_itself(run):
    probes = Probes(run, run.seed_prompts())
    for _ in range(6):
        metrics = probes.look()
    assert metrics["serl/probe/disagreement"] == 0  # greedy answers outweigh the samples of the first look by now


def test_looks_repeat_and_what_a_checkpoint_holds_goes_on(run):
    first, second = (Probes(run, run.seed_prompts()[:4]) for _ in range(2))
    looks = [first.look(), first.look()]
    assert second.look() == looks[0]
    resumed = Probes(run, run.seed_prompts()[:4])
    assert not resumed.is_begun
    resumed.load_state_dict(json.loads(json.dumps(second.state_dict())))
    assert resumed.is_begun
    assert resumed.look() == looks[1]
    other = Probes(run, run.seed_prompts()[:3])
    other.load_state_dict(first.state_dict())
    assert not other.is_begun


class Scripted(Probes):
    """Probes whose answers are given: first the samples, then a greedy answer a look."""

    def __init__(self, samples, *looks):
        class Voter:
            answer_type = "math"
            vote = staticmethod(lambda completions, prompt: majority_vote(completions))

        super().__init__(SimpleNamespace(vote_reward=Voter, num_generations=4), samples)
        self.script = [samples, *looks]

    def _answered(self, num_generations):
        return [
            [Rollout([1, 2], None, rf"\boxed{{{answer}}}" if answer != "-" else "Hm.") for answer in answers]
            for answers in self.script.pop(0)
        ]


@pytest.fixture(autouse=True)
def no_sampling_settings(monkeypatch, request):
    if "scripted" in request.node.name:
        monkeypatch.setattr("serl_trl.probes.greedy_sampling", lambda trainer: nullcontext())


def test_scripted_answers_are_compared_with_those_given_most(run):
    probes = Scripted(["1111", "1123", "5566"], ["1", "1", "5"], ["7", "1", "6"], ["7", "2", "6"], ["7", "1", "6"])
    looks = [probes.look()["serl/probe/disagreement"] for _ in range(4)]
    # The votes count 4, 2 and 2. 6 is the usual answer of the third after two looks; 7 would be that of the first after one more.
    assert looks == pytest.approx([0, 2 / 3, 1, 1 / 3])
    assert probes._given[0] == pytest.approx({"1": ((4 * 0.7 + 1) * 0.7) * 0.7**2, "7": 0.7**2 + 0.7 + 1})


def test_scripted_spellings_are_one_answer():
    probes = Scripted([["0.5", "0.5"]], [["\\frac{1}{2}"]])
    assert probes.look()["serl/probe/disagreement"] == 0
    assert probes._given == [{"0.5": pytest.approx(4 * 0.7 + 1)}]


def test_scripted_silence_is_told():
    probes = Scripted(["--", "12"], ["-", "-"], ["3", "1"])
    first, second = probes.look(), probes.look()
    assert (first["serl/probe/frac_no_answer"], first["serl/probe/frac_top_answer"]) == (1, 0)
    assert first["serl/probe/disagreement"] == 0.5  # that of which nothing is known has none either
    assert (second["serl/probe/frac_no_answer"], second["serl/probe/frac_top_answer"]) == (0, 0.5)

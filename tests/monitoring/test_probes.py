import copy
import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model

from serl_trl.monitoring.probes import Probes
from serl_trl.rollouts.generate import greedy_sampling
from serl_trl.runtime.temporarily import temporarily_set
from serl_trl.types import Rollout
from serl_trl.voting.majority_vote import majority_vote
from tiny_runs import trainer


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
    assert metrics["serl/probe/frac_settled"] == metrics["serl/probe/frac_abandoned"] == 0
    assert 1 / 5 <= metrics["serl/probe/frac_top_answer"] <= 1
    assert 1 < metrics["serl/probe/length_tokens"] <= 24


def test_dropout_is_off_and_every_mode_stays(run):
    """With an adapter whose dropout is large a policy answers as in eval mode, and the next time as the first."""
    lora = LoraConfig(r=4, lora_dropout=0.9, init_lora_weights=False, task_type="CAUSAL_LM", target_modules=["q_proj"])
    model = get_peft_model(copy.deepcopy(run.model), lora)
    model.train()
    embeddings = model.get_input_embeddings().eval()  # a mode of its own
    probes = Probes(run, run.seed_prompts()[:4])
    with temporarily_set(run, model=model, model_wrapped=model), greedy_sampling(run):
        answers = [[rollout.completion_ids for (rollout,) in probes._answered(1)] for _ in range(2)]
        modes = [module.training for module in model.modules()]
        model.eval()
        expected = [completion_in_eval(run, model, prompt) for prompt in probes.prompts]
    assert answers == [expected, expected]
    assert modes.count(False) == 1
    assert not embeddings.training


def completion_in_eval(run, model, prompt):
    """The likeliest completion of a prompt, with its end."""
    ids = run.processing_class.apply_chat_template(
        prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    completion = model.generate(**ids, do_sample=False, max_new_tokens=24)
    return completion[0, ids["input_ids"].shape[1] :].tolist()


def test_a_policy_that_stays_the_same_settles_and_gives_nothing_up(run):
    probes = Probes(run, run.seed_prompts())
    looks = [probes.look() for _ in range(4)]
    assert [look["serl/probe/frac_settled"] for look in looks] == [0, 0, 0, 1]
    assert [look["serl/probe/frac_abandoned"] for look in looks] == [0] * 4


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
        monkeypatch.setattr("serl_trl.monitoring.probes.greedy_sampling", lambda trainer: nullcontext())


def looked(probes, num_looks):
    """Of each look: how many are settled, and how many give a settled answer up."""
    num = len(probes.prompts)
    looks = [probes.look() for _ in range(num_looks)]
    return [tuple(round(num * look[f"serl/probe/frac_{name}"]) for name in ("settled", "abandoned")) for look in looks]


def test_scripted_answers_that_are_given_up(run):
    stays, moves, joins = (
        list("111111"),
        list("222723"),
        list("555566"),
    )  # from look to look; the votes are for 1, 2 and 6
    probes = Scripted(["1111", "2223", "5666"], *map(list, zip(stays, moves, joins, strict=True)))
    # The second gives 2 up for 7, is not settled then (1.18 for 2, 1 for 7), is again (1.71 and 0.6), and gives 2 up for 3.
    # The third goes over to what was voted for.
    assert looked(probes, 6) == [(0, 0), (0, 0), (0, 0), (3, 1), (2, 0), (2, 1)]


def test_scripted_change_of_mind_again_and_again_is_none(run):
    probes = Scripted(["1111"], *([answer] for answer in "2323232323"))
    assert looked(probes, 10) == [(0, 0)] * 10


def test_scripted_silence_is_an_answer_given_up(run):
    probes = Scripted(["2222"], ["1"], ["1"], ["1"], ["-"], ["1"])
    assert looked(probes, 5) == [(0, 0), (0, 0), (0, 0), (1, 1), (0, 0)]


def test_scripted_spellings_are_one_answer():
    probes = Scripted(
        [["0.5", "0.5"], ["7", "7"]],
        [["\\frac{1}{2}"], ["1/4"]],
        [["1/2"], ["0.25"]],
        [["1/2"], ["0.25"]],
        [["0.50"], ["7.0"]],
    )
    assert looked(probes, 4) == [(0, 0), (0, 0), (0, 0), (2, 0)]
    assert list(probes._given[0]) == ["0.5"]


def test_scripted_silence_is_told():
    probes = Scripted(["--", "12"], ["-", "-"], ["3", "1"])
    first, second = probes.look(), probes.look()
    assert (first["serl/probe/frac_no_answer"], first["serl/probe/frac_top_answer"]) == (1, 0)
    assert (second["serl/probe/frac_no_answer"], second["serl/probe/frac_top_answer"]) == (0, 0.5)

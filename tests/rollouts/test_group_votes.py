"""Votes in real training steps of the built-in model; each is taken again here, by hand or with the plain vote."""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer

from launching import in_two
from serl_trl import MajorityVoteReward, SeRLConfig, SeRLTrainer, extract_answer, is_equivalent, majority_vote
from serl_trl.laboratory import CHECKPOINT
from serl_trl.rollouts.group_votes import GroupVotes
from tiny_runs import SETTINGS, equal, parameters, rollout, seeds, trained, trainer


PROMPTS_ONLY = {"self_instruct": False, "max_steps": 1}


def rolled_out(tmp_path, reward=None, dataset=None, **settings):
    """A trainer after the rollout of four prompts, and the texts of its completions, group by group."""
    run = trainer(tmp_path, dataset, reward, self_instruct=False, **settings)
    run.model.train()
    rows = [row for row in run.train_dataset.select(range(4)) for _ in range(run.num_generations)]
    output = run._generate_and_score_completions([dict(row) for row in rows])
    texts = run.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
    return run, [texts[i : i + run.num_generations] for i in range(0, len(texts), run.num_generations)]


def recorded(reward):
    """The groups on which a reward votes, as they come."""
    groups, vote = [], reward.vote

    def noted_vote(completions, prompt=None):
        groups.append((prompt, completions))
        return vote(completions, prompt)

    reward.vote = noted_vote
    return groups


def logged(run, name):
    return [row[name] for row in run.state.log_history if name in row]


# More votes than are trained on ------------------------------------------------------------------------------------


def test_further_votes_count_and_leave_the_rollout_alone(tmp_path):
    plain, expected = rolled_out(tmp_path / "plain")
    states = torch.get_rng_state(), random.getstate()
    reward = MajorityVoteReward(num_votes=13)
    groups = recorded(reward)
    run, texts = rolled_out(tmp_path / "more", reward)
    assert texts == expected
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert [len(group) for _, group in groups] == [13] * 4
    for (prompt, group), row, trained_texts in zip(groups, run.train_dataset, texts, strict=False):
        assert prompt == row["prompt"]
        group = [message["content"] for (message,) in group]
        assert group[:4] == trained_texts
        assert len(set(group)) > 1
    votes = [majority_vote(group) for _, group in groups]
    assert run._rewards.per_func[:, 0].tolist() == [value for vote in votes for value in vote.rewards[:4]]
    assert run._group_shares() == [vote.share for vote in votes]  # what the gate reads
    metrics = run._metrics["train"]
    assert metrics["serl/vote/num_further_votes"] == [4 * 9]
    assert 4 * 9 < metrics["serl/vote/further_votes_tokens"][0] <= 4 * 9 * 24
    assert metrics["serl/vote/further_votes_s"][0] > 0
    # the logs of the rollout are of the rollout
    assert metrics["completions/mean_length"] == plain._metrics["train"]["completions/mean_length"]
    assert list(run._logs["completion"]) == list(plain._logs["completion"])
    assert run.num_generations == 4


def test_further_votes_answer_the_prompt_they_vote_on(tmp_path):
    """The model gets most problems right in 33 samples; answers to other problems would hardly ever be."""
    reward = MajorityVoteReward(num_votes=33)
    groups = recorded(reward)
    run, _ = rolled_out(tmp_path, reward)
    right = [
        majority_vote([message["content"] for (message,) in group[4:]]).answer == row["answer"]
        for (_, group), row in zip(groups, run.train_dataset, strict=False)
    ]
    assert sum(right) >= 3


def test_every_rollout_samples_anew_and_a_resumed_run_the_same(tmp_path):
    reward = MajorityVoteReward(num_votes=8)
    groups = recorded(reward)
    run, _ = rolled_out(tmp_path, reward)
    batch = [dict(row) for row in run.train_dataset.select(range(4)) for _ in range(4)]
    state, rng = json.loads(json.dumps(run._group_votes.state_dict())), torch.get_rng_state()
    run._generate_and_score_completions(batch)
    run._group_votes.load_state_dict(state)
    torch.set_rng_state(rng)
    run._generate_and_score_completions(batch)
    first, second, again = groups[:4], groups[4:8], groups[8:]
    assert [group[4:] for _, group in first] != [group[4:] for _, group in second]
    assert second == again
    assert run._metrics["train"]["serl/vote/frac_seen_before"] == [0.0, 1.0, 1.0]


@pytest.mark.slow
def test_a_run_with_more_votes_trains_and_repeats(tmp_path):
    short = {"num_instructions": 4}  # a step
    runs = [trained(tmp_path / name, None, MajorityVoteReward(num_votes=9), **short) for name in "ab"]
    assert equal(parameters(runs[0].model), parameters(runs[1].model))
    candidates = logged(runs[0], "serl/gate/num_candidates")  # those that replace others among them
    assert logged(runs[0], "serl/vote/num_further_votes") == [5 * number for number in candidates]
    shares = [instruction.vote_share * 9 for instruction in runs[0].train_dataset.queue if instruction.vote_share]
    assert len(shares) >= sum(candidates) - 1
    assert all(share == pytest.approx(round(share)) for share in shares)
    assert not equal(parameters(runs[0].model), parameters(trained(tmp_path / "c", **short).model))


@pytest.mark.parametrize("difficulty_filter", ["rollout", "ahead"])
def test_the_gate_reads_all_votes_and_the_group_is_rewarded(tmp_path, difficulty_filter):
    reward = MajorityVoteReward(num_votes=9)
    groups = recorded(reward)
    run = trainer(tmp_path, None, reward, difficulty_filter=difficulty_filter)
    output = rollout(run)
    assert {len(group) for _, group in groups} == {9}
    by_text = {tuple(message["content"] for (message,) in group[:4]): majority_vote(group) for _, group in groups}
    texts = run.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
    votes = [by_text[tuple(texts[i : i + 4])] for i in range(0, len(texts), 4)]
    assert run._rewards.per_func[:, 0].tolist() == [value for vote in votes for value in vote.rewards[:4]]
    assert list(run._logs["extra"]["vote_share"]) == [vote.share for vote in votes for _ in range(4)]
    kept = output["completion_mask"] * output.get("tool_mask", 1)
    is_kept = kept.view(4, 4, -1).sum(dim=(1, 2)) > 0
    assert is_kept.tolist() == [0.2 <= vote.share <= 0.8 for vote in votes]


def test_of_two_rewards_each_votes_and_the_gate_reads_the_first(tmp_path):
    first, second = MajorityVoteReward(num_votes=8), MajorityVoteReward("text", num_votes=6, soft=True)
    groups = recorded(first), recorded(second)
    run, _ = rolled_out(tmp_path, [first, second], reward_weights=[1.0, 0.0])
    assert [group[:4] for _, group in groups[0]] == [group[:4] for _, group in groups[1]]
    assert run._metrics["train"]["serl/vote/num_further_votes"] == [16 + 8]
    assert run._group_shares() == [majority_vote(group).share for _, group in groups[0]]
    expected = [value for _, group in groups[1] for value in majority_vote(group, "text").soft_rewards[:4]]
    assert run._rewards.per_func[:, 1].tolist() == pytest.approx(expected)


def test_fewer_votes_than_completions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="num_votes is 3, below num_generations=4"):
        trainer(tmp_path, reward_funcs=MajorityVoteReward(num_votes=3))


def test_a_plain_trainer_refuses_more_votes(tmp_path):
    ours = ("num_instructions", "max_instruction_length", "num_few_shot")
    settings = {name: value for name, value in SETTINGS.items() if name not in ours}
    plain = GRPOTrainer(
        str(CHECKPOINT), MajorityVoteReward(num_votes=8), GRPOConfig(output_dir=str(tmp_path), **settings), seeds()
    )
    with pytest.raises(ValueError, match="num_votes=8 needs SeRLTrainer"):
        plain.train()


# Weights and shares as rewards -------------------------------------------------------------------------------------


def test_weights_and_soft_rewards(tmp_path):
    def weights(prompt, completions):
        return [len(message["content"]) + len(prompt[0]["content"]) / 100 for (message,) in completions]

    reward = MajorityVoteReward(soft=True, weights=weights, num_votes=6)
    groups = recorded(reward)
    run, texts = rolled_out(tmp_path, reward)
    plain, same_texts = rolled_out(tmp_path / "plain", MajorityVoteReward(soft=True))
    assert texts == same_texts
    votes = [majority_vote(group, weights=weights(prompt, group)) for prompt, group in groups]
    expected = [value for vote in votes for value in vote.soft_rewards[:4]]
    assert run._rewards.per_func[:, 0].tolist() == pytest.approx(expected)
    assert run._group_shares() == [vote.share for vote in votes]
    expected = [value for group in texts for value in majority_vote(group).soft_rewards]
    assert plain._rewards.per_func[:, 0].tolist() == pytest.approx(expected)


# Labels ------------------------------------------------------------------------------------------------------------


def test_labels_measure_the_vote(tmp_path):
    run, texts = rolled_out(tmp_path, dataset=seeds(8))
    labels = [row["answer"] for row in run.train_dataset][:4]
    votes = [majority_vote(group) for group in texts]
    truth = [
        float(is_equivalent(extract_answer(text), label))
        for group, label in zip(texts, labels, strict=True)
        for text in group
    ]
    rewards = [reward for vote in votes for reward in vote.rewards]
    assert 0 < sum(truth) < len(truth)
    metrics = run._metrics["train"]
    assert metrics["serl/diag/frac_labelled"] == [1.0]
    winners_right = [is_equivalent(vote.answer, label) for vote, label in zip(votes, labels, strict=True)]
    assert metrics["serl/diag/label_accuracy"] == [sum(winners_right) / 4]
    agreed = sum(reward == true for reward, true in zip(rewards, truth, strict=True))
    assert metrics["serl/diag/reward_accuracy"] == [agreed / 16]
    both = sum(reward * true for reward, true in zip(rewards, truth, strict=True))
    assert metrics["serl/diag/reward_alignment"][0] == pytest.approx(both / (sum(rewards) * sum(truth)) ** 0.5)


def test_some_labels_are_missing(tmp_path):
    dataset = seeds(8)
    some = dataset.remove_columns("answer").add_column("answer", [None, *dataset["answer"][1:]])
    run, _ = rolled_out(tmp_path, dataset=some)
    assert run._metrics["train"]["serl/diag/frac_labelled"] == [3 / 4]


def test_no_labels_no_measurement(tmp_path):
    run, _ = rolled_out(tmp_path, dataset=seeds(8).remove_columns("answer"))
    assert not any(name.startswith("serl/diag") for name in run._metrics["train"])


def test_labels_change_nothing(tmp_path):
    def run(name, dataset):
        return parameters(trained(tmp_path / name, dataset, self_instruct=False, max_steps=1).model)

    honest = run("honest", seeds())
    assert equal(honest, run("lying", seeds().map(lambda row: {"answer": "-1"})))
    assert equal(honest, run("bare", seeds().remove_columns("answer")))


# Logs --------------------------------------------------------------------------------------------------------------


def test_flips_over_two_epochs(tmp_path):
    run = trained(tmp_path, self_instruct=False, num_train_epochs=2)
    assert logged(run, "serl/vote/frac_seen_before") == [0, 0, 1, 1]
    assert len(logged(run, "serl/vote/frac_flipped")) == 2
    assert all("serl/vote/frac_share_0.2_to_0.4" in row for row in run.state.log_history if "reward" in row)


def test_evaluation_votes_with_the_group_alone_and_remembers_nothing(tmp_path):
    args = SeRLConfig(
        output_dir=str(tmp_path), per_device_eval_batch_size=8, eval_strategy="steps", eval_steps=1,
        num_generations_eval=2, log_completions=True, **SETTINGS | PROMPTS_ONLY,
    )  # fmt: skip
    reward = MajorityVoteReward(num_votes=6)
    groups = recorded(reward)
    run = SeRLTrainer(str(CHECKPOINT), reward, args, seeds(8), eval_dataset=seeds(4))
    run.train()
    assert [len(group) for _, group in groups] == [6] * 4 + [2] * 4
    assert logged(run, "serl/vote/num_further_votes") == [8.0]
    assert logged(run, "eval_serl/diag/frac_labelled") == [1.0]
    assert len(logged(run, "eval_serl/vote/share_mean")) == 1
    assert not any("further" in name or "seen_before" in name for row in run.state.log_history for name in row if name.startswith("eval_"))  # fmt: skip
    assert len(run._group_votes._memory) == 4


def test_the_completions_table_shows_votes(tmp_path):
    import pandas

    trained(tmp_path, log_completions=True, max_steps=1)
    table = pandas.read_parquet(next((tmp_path / "completions").iterdir()))
    for _, group in table.groupby([table.index // 4]):
        vote = majority_vote([message[0]["content"] for message in group["completion"]])
        assert group["vote_share"].tolist() == [vote.share] * 4
        assert group["vote_answer"].tolist() == [vote.answer or ""] * 4


@pytest.mark.parametrize("state", [None, {}, {"num_samplings": 1}, {"num_samplings": "1", "winners": []}])
def test_foreign_state(state):
    unused: Any = None
    with pytest.raises(ValueError, match="state of the vote"):
        GroupVotes(policy=unused, args=unused).load_state_dict(state)


# Two processes -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What both processes saw of a run on prompts and of one on instructions, with three more votes a prompt."""
    folder = tmp_path_factory.mktemp("votes_of_two_processes")
    assert in_two("tests/scripts/distributed_votes.py", folder) == [0, 0]
    return {
        name: [json.loads((folder / f"{name}_rank{rank}.json").read_text()) for rank in range(2)]
        for name in ("prompts", "instructions")
    }


class Texts:
    """A tokenizer whose token i is the i-th of some texts."""

    def __init__(self, completions):
        self.texts = [completion[0]["content"] for completion in completions]

    def batch_decode(self, rows, skip_special_tokens):
        return [self.texts[i] for (i,) in rows]


def in_one_process(rollouts, answers):
    """The same rollout and the same further votes, voted on and measured in this process."""
    prompts, completions = ([row for rank in rollouts for row in rank[name]] for name in ("prompts", "completions"))
    further = [completion for _, group in rollouts[0]["groups"] for completion in group[4:]]
    stub = SimpleNamespace(
        args=SimpleNamespace(use_vllm=False),
        model=SimpleNamespace(training=True),
        num_generations=4,
        accelerator=SimpleNamespace(process_index=0, num_processes=1, device="cpu", reduce=lambda x, reduction: x),
        state=SimpleNamespace(num_input_tokens_seen=0),
        decoding=SimpleNamespace(prompt_ids=lambda asked: [[1]] * len(asked), tokenizer=Texts(further)),
        complete=lambda ids, size, uniforms: ([[i] for i in range(len(ids))], None),
    )
    votes = GroupVotes(stub, SimpleNamespace(seed=7, num_generations=4, generation_batch_size=12))
    call: Any = votes.wrap(MajorityVoteReward(num_votes=7, soft=True))
    votes.start_rollout()
    messages = [[{"role": "assistant", "content": text}] for text in completions]
    rewards = call(prompts=prompts, completions=messages, answer=answers)
    return rewards, [vote.share for vote in votes.votes], votes.metrics(votes.prompts, votes.votes, is_training=True)


@pytest.mark.multiprocess
def test_two_processes_vote_as_one(two_processes):
    ranks = two_processes["prompts"]
    assert [rank["num_processes"] for rank in ranks] == [2, 2]
    assert ranks[0]["checksum"] == ranks[1]["checksum"]
    assert ranks[0]["state"] == ranks[1]["state"]
    for rollouts in zip(ranks[0]["rollouts"], ranks[1]["rollouts"], strict=True):
        first, second = rollouts
        answers = first["answers"] + second["answers"]
        assert first["answers"][-2:] == second["answers"][:2]  # a group straddles the two
        assert first["groups"] == second["groups"]
        assert [len(group) for _, group in first["groups"]] == [7] * 3
        rewards, shares, metrics = in_one_process(rollouts, answers)
        assert first["rewards"] == second["rewards"] == pytest.approx(rewards)
        assert first["shares"] == second["shares"] == shares
        assert metrics["serl/diag/frac_labelled"] == 1.0
        logged_by = [{name: value for name, value in rank["metrics"].items() if "serl" in name} for rank in rollouts]
        of_one = {"further_votes_s", "further_votes_tokens", "num_further_votes", "frac_seen_before"}  # new memory
        for name in metrics.keys() - {f"serl/vote/{name}" for name in of_one}:
            assert logged_by[0][name] == logged_by[1][name] == pytest.approx(metrics[name], nan_ok=True)
        assert metrics["serl/vote/num_further_votes"] == 9
        assert logged_by[0]["serl/vote/num_further_votes"] == 10  # two processes generate as many each
        assert logged_by[0]["serl/vote/further_votes_tokens"] == logged_by[1]["serl/vote/further_votes_tokens"] > 9


@pytest.mark.multiprocess
def test_the_processes_share_the_further_votes(two_processes):
    """Nine samples are five for each, one of them for nothing, lest a process wait for the other."""
    ranks = two_processes["prompts"]
    assert [rank["num_generated"] for rank in ranks] == [[6, 5, 6, 5], [6, 5, 6, 5]]  # a rollout, further votes, ...
    for record in ranks[0]["rollouts"]:
        assert sum(len(group) - 4 for _, group in record["groups"]) == 9


@pytest.mark.multiprocess
def test_two_processes_replace_groups_by_all_votes(two_processes):
    ranks = two_processes["instructions"]
    assert ranks[0]["checksum"] == ranks[1]["checksum"]
    assert ranks[0]["state"] == ranks[1]["state"]
    for first, second in zip(ranks[0]["rollouts"], ranks[1]["rollouts"], strict=True):
        assert first["groups"] == second["groups"]
        assert len(first["groups"]) == first["metrics"]["serl/gate/num_candidates"] >= 3
        assert {len(group) for _, group in first["groups"]} == {7}
        texts = first["completions"] + second["completions"]
        by_text = {tuple(m["content"] for (m,) in group[:4]): majority_vote(group) for _, group in first["groups"]}
        votes = [by_text[tuple(texts[i : i + 4])] for i in range(0, len(texts), 4)]
        expected = [value for vote in votes for value in vote.soft_rewards[:4]]
        assert first["rewards"] == second["rewards"] == pytest.approx(expected)
        assert first["shares"] == second["shares"] == [vote.share for vote in votes]

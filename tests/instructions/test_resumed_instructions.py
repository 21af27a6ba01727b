"""Self-instruction that goes on from a saved state writes what it would have written."""

import json
from types import SimpleNamespace

import pytest

from scripted_writer import SEEDS, novel_writer
from serl_trl.instructions.dataset import SelfInstructDataset
from serl_trl.rollouts.batch_source import InstructionFeed
from serl_trl.voting.difficulty_gate import DifficultyGate
from serl_trl.voting.majority_vote import majority_vote


def through_json(state):
    return json.loads(json.dumps(state))


def test_a_dataset_goes_on_from_the_state_of_another():
    first = SelfInstructDataset(SEEDS, num_instructions=10)
    first.regenerate(novel_writer, 0, num_prompts=8)
    first.record_vote(2, majority_vote(["\\boxed{1}", "\\boxed{1}", "\\boxed{2}"]))
    second = SelfInstructDataset(SEEDS, num_instructions=10)
    second.load_state_dict(through_json(first.state_dict()))
    assert second.iteration == 0
    assert (second.queue, second.written) == (first.queue, first.written)
    assert second.queue[2].vote_share == 2 / 3
    metrics = [dataset.regenerate(novel_writer, 1, num_prompts=8) for dataset in (first, second)]
    assert metrics[0] == metrics[1]
    assert metrics[0]["serl/instructions/num_ever_kept"] == 20
    assert first.state_dict() == second.state_dict()


def test_a_vote_reaches_the_file_after_a_state_was_loaded(tmp_path):
    first = SelfInstructDataset(SEEDS, num_instructions=3)
    first.regenerate(novel_writer, 0)
    second = SelfInstructDataset(SEEDS, num_instructions=3)
    second.load_state_dict(through_json(first.state_dict()))
    second.record_vote(1, majority_vote(["\\boxed{1}"]))
    second.save(tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["vote_answer"] for row in rows if row["is_kept"]] == [None, "1", None]


def test_messages_are_inherited_from_the_same_seed_after_a_state_was_loaded():
    seeds = [
        [{"role": "system", "content": f"S{i}"}, {"role": "user", "content": text}] for i, text in enumerate(SEEDS)
    ]
    first = SelfInstructDataset(seeds, num_instructions=6)
    first.regenerate(novel_writer, 0)
    second = SelfInstructDataset(seeds, num_instructions=6)
    second.load_state_dict(through_json(first.state_dict()))
    assert [second.prompt(i) for i in range(6)] == [first.prompt(i) for i in range(6)]


def test_a_state_of_other_seeds_or_another_run_is_refused():
    first = SelfInstructDataset(SEEDS, num_instructions=3)
    first.regenerate(novel_writer, 0)
    with pytest.raises(ValueError, match="a seed that is not among the seeds"):
        SelfInstructDataset([text[::-1] for text in SEEDS], num_instructions=3).load_state_dict(first.state_dict())
    other = SelfInstructDataset(SEEDS, num_instructions=3, seed=1)
    other.regenerate(novel_writer, 0)
    with pytest.raises(ValueError, match="instructions of another run"):
        other.load_state_dict(first.state_dict())


def test_an_iteration_that_is_written_bit_by_bit_goes_on_from_a_state():
    first = SelfInstructDataset(SEEDS, num_instructions=12)
    first.regenerate(novel_writer, 0)
    first.start(1)
    first.extend(novel_writer, 5, 4, num_prompts=3)
    first.cursor.bind(4)
    drawn = first.draw(3)
    second = SelfInstructDataset(SEEDS, num_instructions=12)
    second.load_state_dict(through_json(first.state_dict()))
    assert drawn == [0, 1, 2]
    for dataset in (first, second):
        dataset.extend(novel_writer, 5, 4, num_prompts=3)
        dataset.cursor.bind(4)
    assert first.draw(9) == second.draw(9) == [3, 4, 5, 6, 7]
    assert first.written == second.written
    assert first.state_dict() == second.state_dict()


def test_earlier_iterations_are_read_from_their_files_after_a_resume(tmp_path):
    args = SimpleNamespace(output_dir=str(tmp_path), difficulty_filter="rollout")
    trainer = SimpleNamespace(args=args, is_world_process_zero=lambda: True)
    first, second = (SelfInstructDataset(SEEDS, num_instructions=4, max_per_seed=3) for _ in range(2))
    feed = InstructionFeed(trainer, first, DifficultyGate(), None)
    for iteration in range(3):
        first.regenerate(novel_writer, iteration)
        first.record_vote(0, majority_vote(["\\boxed{1}", "no"]))
        feed.save()
    second.load_state_dict(through_json(first.state_dict()))
    resumed = InstructionFeed(trainer, second, DifficultyGate(), None)
    for _ in range(2):
        resumed.reload_past_iterations()
        assert second.to_dataset().to_list() == first.to_dataset().to_list()
    assert len(set(second.to_dataset()["iteration"])) == 3
    for dataset in (first, second):
        dataset.regenerate(novel_writer, 3)
    assert second.to_dataset().to_list() == first.to_dataset().to_list()


def test_an_iteration_that_is_begun_anew_is_archived_once():
    """As after a run that ran out of instructions, and is resumed with a policy or settings that give more."""
    dataset = SelfInstructDataset(SEEDS, num_instructions=4)
    dataset.regenerate(novel_writer, 0)
    dataset.regenerate(novel_writer, 1)
    first = [instruction.text for instruction in dataset.written]
    dataset.regenerate(novel_writer, 1)
    second = [instruction.text for instruction in dataset.written]
    dataset.regenerate(novel_writer, 2)
    written = dataset.to_dataset()
    texts = [text for text, number in zip(written["text"], written["iteration"], strict=True) if number == 2]
    assert texts == second != first


def test_a_state_of_before_runs_were_counted():
    first = SelfInstructDataset(SEEDS, num_instructions=4)
    first.regenerate(novel_writer, 0)
    state = through_json(first.state_dict())
    del state["first_iteration"]
    second = SelfInstructDataset(SEEDS, num_instructions=4)
    second.load_state_dict(state)
    assert (second.iteration, second.first_iteration) == (0, 0)

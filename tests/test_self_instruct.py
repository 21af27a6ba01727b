# ruff: noqa: RUF001 (Cyrillic is the point)

import json
import random

import pytest
from datasets import Dataset

from serl_trl.filters import DifficultyGate, LengthFilter, NoveltyFilter
from serl_trl.novelty import NoveltyIndex
from serl_trl.prompts import PromptTemplate, Reply
from serl_trl.self_instruct import SelfInstructDataset
from serl_trl.serl_config import SeRLConfig
from serl_trl.shortage import TooFewInstructionsError
from serl_trl.voting import majority_vote


WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "islet",
    "jewel",
    "knoll",
    "lemur",
    "mango",
    "nylon",
    "ocean",
    "pearl",
    "quilt",
    "river",
]
SEEDS = [" ".join(random.Random(i).sample(WORDS, 8)) for i in range(12)]


def novel_writer(prompts, seed):
    rng = random.Random(seed)
    return [Reply("9. " + " ".join(rng.sample(WORDS, 9))) for _ in prompts]


def test_regenerate_fills_every_slot_with_something_novel():
    dataset = SelfInstructDataset(SEEDS, num_instructions=20)
    metrics = dataset.regenerate(novel_writer, 0, num_prompts=8)
    prompts = [dataset.prompt(slot) for slot in range(20)]
    assert metrics["serl/instructions/num_kept"] == len(set(prompts)) == 20
    index = NoveltyIndex(0.7)
    for text in SEEDS:
        index.add(text)
    for text in prompts:
        assert index.is_novel(text)
        index.add(text)


@pytest.mark.parametrize(("tokenizer", "is_kept"), [("rouge", False), ("unicode", True)])
def test_the_configured_words_decide_what_is_novel(tokenizer, is_kept):
    # rouge-score sees "5 3" in both
    seeds, written = ["У Маши 5 яблок и 3 груши, сколько фруктов?"], "Поезд едет 5 часов и 3 минуты до города."
    settings = {"num_few_shot": 1, "num_instructions": 16, "novelty_tokenizer": tokenizer}
    args = SeRLConfig(output_dir="out", use_cpu=True, report_to="none", **settings)
    novelty = SelfInstructDataset.from_config(seeds, args).filters[-1]
    assert isinstance(novelty, NoveltyFilter)
    assert novelty(written).kept == is_kept


def test_nothing_kept_once_is_kept_again():
    dataset = SelfInstructDataset(SEEDS, num_instructions=5)
    dataset.regenerate(novel_writer, 0, num_prompts=8)
    first = [instruction.text for instruction in dataset.queue]

    def parrot(prompts, seed):
        return [Reply(f"9. {random.Random(seed).choice(first)}"), *novel_writer(prompts[1:], seed)]

    dataset.regenerate(parrot, 1, num_prompts=4)
    assert not set(first) & {instruction.text for instruction in dataset.queue}
    rejected = [i for i in dataset.written if not i.is_kept]
    assert {i.verdicts["novelty"].reason for i in rejected} == {"similar"}


def test_first_iteration_shows_seeds_only_and_each_before_any_repeats():
    dataset = SelfInstructDataset(SEEDS, num_instructions=3, num_few_shot=4)
    dataset.regenerate(novel_writer, 0, num_prompts=3)
    shown = [text for instruction in dataset.written for text in instruction.parents]
    assert sorted(shown) == sorted(SEEDS)


def test_later_iterations_show_the_seed_fraction():
    dataset = SelfInstructDataset(SEEDS, num_instructions=30, num_few_shot=8, seed_fraction=0.25)
    dataset.regenerate(novel_writer, 0)
    dataset.regenerate(novel_writer, 1)
    for instruction in dataset.written:
        assert len(set(instruction.parents) & set(SEEDS)) == 2


def test_same_seed_same_instructions():
    first, second = (SelfInstructDataset(SEEDS, num_instructions=10, seed=3) for _ in range(2))
    for dataset in (first, second):
        dataset.regenerate(novel_writer, 0, num_prompts=8)
    assert [i.text for i in first.queue] == [i.text for i in second.queue]
    other = SelfInstructDataset(SEEDS, num_instructions=10, seed=4)
    other.regenerate(novel_writer, 0, num_prompts=8)
    assert [i.text for i in other.queue] != [i.text for i in first.queue]


def test_a_short_queue_is_shared_out_over_the_slots():
    dataset = SelfInstructDataset(SEEDS, num_instructions=4)
    replies = iter(["9. pearl ocean river quilt mango", "9. amber basil cedar delta ember"])
    dataset.regenerate(lambda prompts, seed: [Reply(next(replies, "9. no")) for _ in prompts], 0)
    drawn = []
    for _ in range(4):
        dataset.cursor.bind(1)
        drawn.append(dataset.draw(1))
    assert drawn == [[0], [], [1], []]


def test_nothing_kept_is_an_error_that_names_the_filter():
    dataset = SelfInstructDataset(SEEDS, num_instructions=2)
    with pytest.raises(TooFewInstructionsError, match=r"18 replies held 18.*length: 18.*widen min_instruction_words"):
        dataset.regenerate(lambda prompts, seed: [Reply("9. no")] * len(prompts), 0, num_prompts=16)


@pytest.mark.parametrize("num_needed", [4, 5])
def test_a_minimum_decides_whether_the_run_goes_on(num_needed):
    dataset = SelfInstructDataset(SEEDS, num_instructions=10)

    def write(prompts, seed):
        return novel_writer(prompts, seed) if len(dataset.queue) < 4 else [Reply("9. no")] * len(prompts)

    dataset.start(0)
    if num_needed == 4:
        assert dataset.extend(write, 10, 10, 2, num_needed=4)["serl/instructions/num_kept"] == 4
    else:
        with pytest.raises(TooFewInstructionsError, match="4 usable instructions, fewer than the minimum of 5"):
            dataset.extend(write, 10, 10, 2, num_needed=5)
    assert len(dataset.queue) == 4  # what there is stays, to be filed


def test_a_queue_that_is_extended_step_by_step():
    dataset = SelfInstructDataset(SEEDS, num_instructions=9)
    dataset.start(0)
    for _ in range(3):
        dataset.extend(novel_writer, 5, 3, 8)
        dataset.cursor.bind(3)
        dataset.draw(3)
    assert dataset.cursor.position == 9
    assert len(dataset.queue) == len({i.text for i in dataset.queue}) == 6 + 5  # two unread ones are carried over
    shown = [text for instruction in dataset.written for text in instruction.parents]
    assert set(shown) <= set(SEEDS)


def test_a_vote_ahead_of_training_is_a_filter():
    agreed, divided = ["\\boxed{4}", "\\boxed{4}"], ["\\boxed{4}", "\\boxed{5}"]
    asked = []

    def judge(prompts, seed):
        votes = [majority_vote(agreed if i % 2 else divided) for i in range(len(asked), len(asked) + len(prompts))]
        asked.extend(prompts)
        return [(vote, DifficultyGate()(vote.share)) for vote in votes]

    dataset = SelfInstructDataset(SEEDS, num_instructions=6)
    dataset.start(0)
    metrics = dataset.extend(novel_writer, 6, 6, 4, judge=judge)
    judged = [i for i in dataset.written if "difficulty" in i.verdicts]
    assert [i.text for i in judged] == asked
    assert [i.text for i in dataset.queue] == [i.text for i in judged if i.vote_share == 0.5]
    rejected = [i for i in judged if not i.is_kept]
    assert {i.verdicts["difficulty"].reason for i in rejected} == {"too_easy"}
    assert metrics["serl/filter/frac_rejected_difficulty"] == len(rejected) / len(dataset.written)
    # what was rejected counts as known from then on
    novelty = next(f for f in dataset.filters if isinstance(f, NoveltyFilter))
    assert not any(novelty(i.text).kept for i in rejected)


def test_written_instruction_inherits_the_messages_of_its_seed():
    seeds = [[{"role": "system", "content": "Think."}, {"role": "user", "content": text}] for text in SEEDS]
    dataset = SelfInstructDataset(seeds, num_instructions=1)
    asked = []
    dataset.regenerate(lambda prompts, seed: asked.extend(prompts) or novel_writer(prompts, seed), 0)
    assert asked[0][0]["role"] == "user"
    assert dataset.prompt(0) == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": dataset.queue[0].text},
    ]


def test_template_applies_to_written_instructions():
    dataset = SelfInstructDataset(
        SEEDS, num_instructions=1, prompt_template=PromptTemplate(user="{instruction} Box it.")
    )
    dataset.regenerate(novel_writer, 0)
    assert dataset.prompt(0) == [{"role": "user", "content": dataset.queue[0].text + " Box it."}]


@pytest.mark.parametrize("template", [None, PromptTemplate(continues_list=True)])
def test_plain_seeds_are_continued_as_plain_text(template):
    dataset = SelfInstructDataset(SEEDS, num_instructions=1, prompt_template=template)
    asked = []
    dataset.regenerate(lambda prompts, seed: asked.extend(prompts) or novel_writer(prompts, seed), 0)
    assert asked[0].endswith("\n9.")
    assert isinstance(dataset.prompt(0), str if template is None else list)


def test_saved_file_holds_votes_and_verdicts(tmp_path):
    dataset = SelfInstructDataset(
        SEEDS, num_instructions=2, filters=[LengthFilter(4, 150), NoveltyFilter(NoveltyIndex())]
    )
    dataset.regenerate(lambda prompts, seed: [Reply("9. no"), *novel_writer(prompts[1:], seed)], 0, num_prompts=3)
    dataset.record_vote(0, majority_vote(["\\boxed{4}", "\\boxed{4}", "\\boxed{5}", "no"]))
    dataset.save(tmp_path / "instructions" / "iteration_1.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "instructions" / "iteration_1.jsonl").read_text().splitlines()]
    assert [row["is_kept"] for row in rows] == [False, True, True]
    assert rows[0]["verdicts"]["length"]["reason"] == "too_short"
    assert (rows[1]["vote_share"], rows[1]["vote_answer"], rows[1]["source"]) == (0.5, "4", "generated")
    assert rows[2]["vote_share"] is None
    assert list((tmp_path / "instructions").iterdir()) == [tmp_path / "instructions" / "iteration_1.jsonl"]


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        (SEEDS[:3], {}, "3 seeds, fewer than num_few_shot=8"),
        ([*SEEDS, " "], {}, "Seed 12 is empty"),
        (Dataset.from_dict({"text": SEEDS}), {}, "column 'prompt'"),
        ([[{"role": "user", "content": s}] for s in SEEDS], {"prompt_template": PromptTemplate()}, "messages already"),
    ],
)
def test_bad_seeds_are_named(seeds, options, message):
    with pytest.raises(ValueError, match=message):
        SelfInstructDataset(seeds, **options)


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

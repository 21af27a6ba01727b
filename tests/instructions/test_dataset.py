# ruff: noqa: RUF001 (Cyrillic is the point)

import json
import random
from typing import Any

import pytest
from datasets import Dataset

from scripted_writer import SEEDS, WORDS, novel_writer
from serl_trl.instructions.dataset import SelfInstructDataset
from serl_trl.instructions.errors import TooFewInstructionsError
from serl_trl.instructions.filters import LengthFilter
from serl_trl.instructions.novelty_filters import NoveltyFilter
from serl_trl.instructions.novelty_index import NoveltyIndex
from serl_trl.prompts.template import PromptTemplate
from serl_trl.trainer.serl_config import SeRLConfig
from serl_trl.types import Reply, Verdict
from serl_trl.voting.difficulty_gate import DifficultyGate
from serl_trl.voting.majority_vote import majority_vote


def noting(asked):
    """A writer of new problems that notes what it is asked."""

    def write(prompts, seed):
        asked.extend(prompts)
        return novel_writer(prompts, seed)

    return write


def test_regenerate_fills_every_slot_with_something_novel():
    dataset = SelfInstructDataset(SEEDS, num_instructions=20)
    metrics = dataset.regenerate(novel_writer, 0, num_prompts=8)
    prompts = [dataset.prompt(slot) for slot in range(20)]
    assert metrics["serl/instructions/num_kept"] == len(set(prompts)) == 20
    index = NoveltyIndex(0.7)
    for text in SEEDS:
        index.add(text)
    for prompt in prompts:
        assert isinstance(prompt, str)
        assert index.is_novel(prompt)
        index.add(prompt)


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
    asked: list = []

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
    asked: list = []
    dataset.regenerate(noting(asked), 0)
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
    asked: list = []
    dataset.regenerate(noting(asked), 0)
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
        (SEEDS[:3], {}, "3 different seeds, fewer than num_few_shot=8"),
        ([*SEEDS, " "], {}, "Seed 12 is empty"),
        ([*SEEDS[:7], SEEDS[0]], {}, "7 different seeds"),
        ([*SEEDS, [{"role": "user", "content": "x"}]], {}, "Seed 12 is .*all as text or all as messages"),
        (Dataset.from_dict({"text": SEEDS}), {}, "column 'prompt'"),
        ([[{"role": "user", "content": s}] for s in SEEDS], {"prompt_template": PromptTemplate()}, "messages already"),
    ],
)
def test_bad_seeds_are_named(seeds, options, message):
    with pytest.raises(ValueError, match=message):
        SelfInstructDataset(seeds, **options)


class Letters:
    """A filter that learns: an instruction must start with a letter that none before it starts with."""

    name = "letters"

    def __init__(self):
        self.told = []

    def learn(self, instructions):
        self.told.append(list(instructions))

    def __call__(self, instruction):
        taken = {text[0] for texts in self.told for text in texts}
        return Verdict(
            instruction[0] not in taken, "letter_taken" if instruction[0] in taken else None, instruction[0]
        )


def test_a_filter_of_ones_own_is_told_the_seeds_and_what_is_kept():
    letters = Letters()
    dataset = SelfInstructDataset(
        ["amber basil", "beech cedar"], num_instructions=2, num_few_shot=2, filters=[letters]
    )
    replies = iter(["3. amber again\n4. delta one", "3. delta two\n4. ember one"])
    metrics = dataset.regenerate(lambda prompts, seed: [Reply(next(replies)) for _ in prompts], 0, num_prompts=1)
    assert [i.text for i in dataset.queue] == ["delta one", "ember one"]
    assert letters.told == [["amber basil", "beech cedar"], ["delta one"], ["ember one"]]
    assert metrics["serl/filter/frac_rejected_letters"] == 0.5


def test_a_filter_that_breaks_stops_the_run_with_its_name():
    class Broken:
        name = "broken"

        def __call__(self, instruction):
            return 1 / 0

    dataset = SelfInstructDataset(SEEDS, num_instructions=2, filters=[Broken()])
    with pytest.raises(RuntimeError, match="'broken' raised ZeroDivisionError"):
        dataset.regenerate(novel_writer, 0)


@pytest.mark.parametrize("name", ["parse", "seed_cap", "length"])
def test_names_in_use_cannot_be_taken(name):
    letters = Letters()
    letters.name = name
    with pytest.raises(ValueError, match=name):
        SelfInstructDataset(SEEDS, filters=[LengthFilter(), letters])


def test_seeds_are_dealt_on_across_iterations():
    # 12 seeds: 2 prompts of 4 in the first iteration, then 4 prompts with 1 seed each
    dataset = SelfInstructDataset(SEEDS, num_instructions=2, num_few_shot=4, seed_fraction=0.25)
    for iteration, num_prompts in ((0, 2), (1, 4)):
        dataset.num_instructions = num_prompts
        dataset.regenerate(novel_writer, iteration, num_prompts=num_prompts)
    shown = {text for row in dataset.to_dataset() for text in row["parents"]}
    assert shown >= set(SEEDS)


def parrot_of(parent):
    """Writes variations of one seed only."""

    def write(prompts, seed):
        rng = random.Random(seed)
        return [Reply("9. " + " ".join([*parent.split()[:5], *rng.sample(WORDS, 3)])) for _ in prompts]

    return write


def test_the_seed_parent_is_the_one_that_is_resembled():
    options: dict[str, Any] = {"num_instructions": 6, "num_few_shot": 12, "seed_fraction": 0.5}
    dataset = SelfInstructDataset(SEEDS, filters=[LengthFilter()], **options)
    dataset.regenerate(parrot_of(SEEDS[3]), 0)
    assert {i.seed_parent for i in dataset.queue} == {SEEDS[3]}
    dataset.regenerate(parrot_of(dataset.queue[0].text), 1)  # descends from it by way of an instruction
    assert {i.seed_parent for i in dataset.queue} == {SEEDS[3]}


def test_messages_come_from_the_seed_parent():
    seeds = [
        [{"role": "system", "content": f"System {i}"}, {"role": "user", "content": s}] for i, s in enumerate(SEEDS)
    ]
    dataset = SelfInstructDataset(seeds, num_instructions=2, num_few_shot=12)
    dataset.regenerate(parrot_of(SEEDS[5]), 0)
    assert dataset.prompt(0)[0] == {"role": "system", "content": "System 5"}


@pytest.mark.parametrize("with_context", [False, True])
def test_the_same_question_under_two_system_prompts_stays_two_prompts(with_context):
    def ask(system, text):
        turns = [{"role": "user", "content": system}, {"role": "assistant", "content": "Yes."}]
        head = turns if with_context else [{"role": "system", "content": system}]
        return [*head, {"role": "user", "content": text}]

    ways = ("Think.", "Be brief.")
    seeds = [ask(way, text) for text in SEEDS for way in ways]
    dataset = SelfInstructDataset(seeds * 2, num_instructions=20, num_few_shot=12)
    assert sorted(map(str, dataset.seed_prompts())) == sorted(map(str, seeds))  # equal prompts are one
    dataset.regenerate(novel_writer, 0, num_prompts=8)
    prompts = [dataset.prompt(slot) for slot in range(20)]
    assert {prompt[0]["content"] for prompt in prompts} == set(ways)  # each way gets its part
    assert prompts == [ask(prompt[0]["content"], i.text) for prompt, i in zip(prompts, dataset.queue, strict=True)]
    assert all(len(set(i.parents)) == len(i.parents) == 12 for i in dataset.written)  # shown once
    assert {i.seed_parent for i in dataset.written} <= set(SEEDS)

    resumed = SelfInstructDataset(seeds, num_instructions=20, num_few_shot=12)
    resumed.load_state_dict(json.loads(json.dumps(dataset.state_dict())))
    assert [resumed.prompt(slot) for slot in range(20)] == prompts
    assert resumed.to_dataset()["prompt"][:] == dataset.to_dataset()["prompt"][:]
    assert resumed.seed_prompts() == dataset.seed_prompts()


def test_questions_are_counted_once_for_a_request():
    seeds = [
        [{"role": "system", "content": system}, {"role": "user", "content": "What is 1 + 1?"}] for system in ("a", "b")
    ]
    with pytest.raises(ValueError, match="There are 1 different questions, put by 2 seeds, fewer than num_few_shot=2"):
        SelfInstructDataset(seeds, num_few_shot=2)


UNSPACED = {
    "Chinese": (
        "小明有{}个苹果，妈妈又买了{}个，现在一共有几个苹果？",
        "一列火车以每小时{}公里的速度行驶{}小时，共走了多少公里？",
    ),
    "Japanese": (
        "りんごが{}個あります。{}個食べました。残りはいくつですか。",
        "一本{}円の鉛筆を{}本買うと、全部でいくらになりますか。",
    ),
    "Thai": ("แดงมีส้ม{}ผลและซื้อเพิ่มอีก{}ผลตอนนี้แดงมีส้มกี่ผล", "รถไฟวิ่งชั่วโมงละ{}กิโลเมตรเป็นเวลา{}ชั่วโมงได้ระยะทางเท่าไร"),
    "Lao": ("ແດງມີໝາກກ້ຽງ{}ໜ່ວຍແລະຊື້ເພີ່ມອີກ{}ໜ່ວຍຕອນນີ້ມີຈັກໜ່ວຍ", "ລົດໄຟແລ່ນຊົ່ວໂມງລະ{}ກິໂລແມັດເປັນເວລາ{}ຊົ່ວໂມງໄດ້ໄລຍະທາງເທົ່າໃດ"),
    "Khmer": ("សុខមានក្រូច{}ផ្លែហើយទិញថែម{}ផ្លែតើមានក្រូចប៉ុន្មានផ្លែ", "រថភ្លើងបើក{}គីឡូម៉ែត្រក្នុងមួយម៉ោងរយៈពេល{}ម៉ោងតើបានចម្ងាយប៉ុន្មាន"),
    "Burmese": (
        "မောင်မောင်တွင်လိမ္မော်သီး{}လုံးရှိပြီး{}လုံးထပ်ဝယ်လျှင်စုစုပေါင်းဘယ်နှစ်လုံးရှိသနည်း",
        "ရထားသည်တစ်နာရီ{}ကီလိုမီတာနှုန်းဖြင့်{}နာရီမောင်းလျှင်ခရီးမည်မျှရောက်သနည်း",
    ),
}


@pytest.mark.parametrize("language", UNSPACED)
def test_problems_of_languages_without_spaces_are_kept(language):
    own, other = UNSPACED[language]
    seeds = [own.format(i, i + 1) for i in range(2, 10)]
    dataset = SelfInstructDataset(seeds, num_instructions=3)
    written = iter([own.format(31, 14), other.format(60, 33), other.format(75, 58), "好。", *["好。"] * 99])
    dataset.regenerate(lambda prompts, seed: [Reply(f"9. {next(written)}") for _ in prompts], 0)
    assert [i.text for i in dataset.queue] == [own.format(31, 14), other.format(60, 33), other.format(75, 58)]
    assert LengthFilter()("好。") == Verdict(False, "too_short", 1)
    assert LengthFilter()(own * 20).reason == "too_long"


@pytest.mark.parametrize(
    ("seeds", "tokenizer", "is_warned"),
    [
        (["У Маши 5 яблок", "У Пети 3 груши"], "rouge", True),
        (["У Маши 5 яблок", "У Пети 3 груши"], "unicode", False),
        (["У Маши 5 яблок", "Tom has 3 pears", "Wie groß ist 3?"], "rouge", False),
    ],
)
def test_words_that_see_next_to_nothing_are_warned_of(seeds, tokenizer, is_warned, caplog):
    settings = {"num_few_shot": 2, "num_instructions": 16, "novelty_tokenizer": tokenizer}
    SelfInstructDataset.from_config(seeds, SeRLConfig("out", use_cpu=True, report_to="none", **settings))
    assert ("Use novelty_tokenizer='unicode'" in caplog.text) is is_warned


def test_a_cap_limits_the_descendants_of_a_seed():
    filters = [LengthFilter()]
    plain = SelfInstructDataset(SEEDS, num_instructions=8, num_few_shot=12, filters=filters)
    capped = SelfInstructDataset(SEEDS, num_instructions=8, num_few_shot=12, filters=filters, max_per_seed=2)

    def mostly_parrot(prompts, seed):
        replies = parrot_of(SEEDS[3])(prompts, seed)
        return [*replies[:-1], *novel_writer(prompts[-1:], seed)]

    shares = []
    for dataset in (plain, capped):
        metrics = dataset.regenerate(mostly_parrot, 0, num_prompts=4)
        shares.append(metrics["serl/drift/max_seed_share"])
    assert shares[0] >= 0.5
    assert shares[1] <= 2 / len(capped.queue)
    rejected = [i for i in capped.written if not i.is_kept]
    assert {i.verdicts["seed_cap"].reason for i in rejected} == {"seed_used_up"}
    assert metrics["serl/filter/frac_rejected_seed_cap"] == len(rejected) / len(capped.written)


def test_everything_written_is_a_dataset(tmp_path):
    dataset = SelfInstructDataset(SEEDS, num_instructions=4, num_few_shot=6)
    written = []
    for iteration in range(3):
        dataset.regenerate(
            lambda prompts, seed: [Reply("9. no"), *novel_writer(prompts[1:], seed)], iteration, num_prompts=3
        )
        dataset.record_vote(1, majority_vote(["\\boxed{4}", "\\boxed{4}", "\\boxed{5}", "no"]))
        written += [(iteration + 1, i.text, i.is_kept) for i in dataset.written]
    for rows in (dataset.to_dataset(), dataset.to_dataset(tmp_path / "rows.arrow")):
        assert [(row["iteration"], row["text"], row["is_kept"]) for row in rows] == written
        assert rows.filter(lambda row: row["share"] is not None)["share"][:] == [0.5] * 3
        assert set(rows["length_reason"][:]) == {None, "too_short"}
        assert all(row["prompt"] == row["text"] for row in rows)
        assert all((row["novelty_value"] is None) == (row["text"] == "no") for row in rows)
    assert len(dataset.to_dataset()) == len(written)  # asking changes nothing


def test_options_of_the_configuration_reach_the_filters():
    settings: dict[str, Any] = {
        "num_instructions": 16,
        "novelty_crowding_penalty": 0.3,
        "max_instructions_per_seed": 4,
    }
    args = SeRLConfig(output_dir="out", use_cpu=True, report_to="none", **settings)
    dataset = SelfInstructDataset.from_config(SEEDS, args, further_filters=[Letters()])
    assert [f.name for f in dataset.filters] == ["length", "keyword", "novelty", "letters"]
    novelty = dataset.filters[2]
    assert isinstance(novelty, NoveltyFilter)
    assert novelty.crowding_penalty == 0.3
    assert dataset.max_per_seed == 4


def test_the_crowding_penalty_keeps_variations_apart():
    shares = []
    for penalty in (0.0, 0.5):
        filters = [NoveltyFilter(NoveltyIndex(0.85), penalty)]
        dataset = SelfInstructDataset(SEEDS, num_instructions=12, num_few_shot=12, filters=filters)
        metrics = dataset.regenerate(
            lambda prompts, seed: [*parrot_of(SEEDS[3])(prompts[1:], seed), *novel_writer(prompts[:1], seed)],
            0,
            num_prompts=4,
        )
        shares.append(metrics["serl/drift/max_seed_share"])
    assert shares[1] < shares[0]

import pytest

from serl_trl.instructions.instruction_log import (
    Instruction,
    InstructionArchive,
    read_instructions,
    write_instructions,
)
from serl_trl.types import Verdict
from serl_trl.voting.majority_vote import majority_vote


def instruction(text, **verdicts):
    return Instruction(text, "generated", ["Add 1 and 1.", "Add 2 and 2."], verdicts, seed_parent="Add 1 and 1.")


KEPT = instruction("Add 3\u2028and 4 to \\Delta.", length=Verdict(True, None, 6), keyword=Verdict(True))
REJECTED = instruction("Draw it.", length=Verdict(True, None, 2), keyword=Verdict(False, "banned_word", "draw"))
UNPARSED = Instruction("", "generated", ["Add 1 and 1."], {"parse": Verdict(False, "empty")})


def test_a_file_holds_everything(tmp_path):
    voted = instruction("Add 5 and 6.", length=Verdict(True, None, 4))
    voted.record_vote(majority_vote(["\\boxed{11}", "\\boxed{11}", "\\boxed{12}", "Hm."]))
    write_instructions(tmp_path / "new" / "i.jsonl", [KEPT, REJECTED, UNPARSED, voted])
    assert read_instructions(tmp_path / "new" / "i.jsonl") == [KEPT, REJECTED, UNPARSED, voted]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["i.jsonl"]


@pytest.mark.parametrize("is_file", [False, True])
def test_the_dataset_has_a_row_an_instruction(tmp_path, is_file):
    voted = instruction("Add 5 and 6.", length=Verdict(True, None, 4), own=Verdict(True, None, 0.5))
    voted.record_vote(majority_vote(["\\boxed{11}", "\\boxed{11}", "\\boxed{12}", "Hm."]))
    archive = InstructionArchive()
    archive.add(1, [KEPT, UNPARSED])
    archive.add(2, [])
    archive.add(3, [REJECTED, voted])
    prompts = {KEPT.text: "first", REJECTED.text: "second", voted.text: "third", "": None}
    dataset = archive.to_dataset(lambda text, _: prompts[text], tmp_path / "rows.arrow" if is_file else None)
    assert len(dataset) == len(archive) == 4
    assert dataset["iteration"][:] == [1, 1, 3, 3]
    assert dataset["prompt"][:] == ["first", None, "second", "third"]
    assert dataset["is_kept"][:] == [True, False, False, True]
    assert dataset["parents"][2] == REJECTED.parents
    assert dataset["seed_parent"][:] == ["Add 1 and 1.", None, "Add 1 and 1.", "Add 1 and 1."]
    assert dataset["length_value"][:] == [6.0, None, 2.0, 4.0]
    assert dataset["keyword_value"][:] == [None, None, "draw", None]  # numbers, or nothing, in the first iteration
    assert dataset["keyword_kept"][:] == [True, None, False, None]
    assert dataset["parse_reason"][:] == [None, "empty", None, None]
    assert dataset["own_value"][:] == [None, None, None, 0.5]
    assert {name: dataset[3][name] for name in ("votes", "winner", "answer", "share")} == {
        "votes": [0, 0, 1, None],
        "winner": 0,
        "answer": "11",
        "share": 0.5,
    }
    assert dataset[0]["votes"] is None
    assert (tmp_path / "rows.arrow").exists() == is_file


def test_prompts_may_be_messages():
    archive = InstructionArchive()
    archive.add(1, [UNPARSED, KEPT])
    messages = [{"role": "user", "content": "x"}]
    dataset = archive.to_dataset(lambda text, seed: messages if seed else None)
    assert dataset["prompt"][:] == [None, messages]


def test_a_value_is_a_number_or_a_text_for_all_rows():
    archive = InstructionArchive()
    values: tuple[int | str | float, ...] = (2, "two", 2.5)
    for number, value in enumerate(values):
        archive.add(number, [instruction("Add 3 and 4.", own=Verdict(True, None, value))])
    assert archive.to_dataset(lambda text, _: text)["own_value"][:] == ["2", "two", "2.5"]


def test_nothing_written_is_no_row():
    assert len(InstructionArchive().to_dataset(lambda text, _: text)) == 0


def test_a_copy_leaves_the_archive_as_it_was():
    archive = InstructionArchive()
    archive.add(1, [KEPT])
    copy = InstructionArchive(archive)
    copy.add(2, [KEPT])
    assert (len(archive), len(copy)) == (1, 2)

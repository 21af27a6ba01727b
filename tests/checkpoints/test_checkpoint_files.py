import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.checkpoints.checkpoint_files import (
    MARKER,
    SAVING,
    checkpoint_to_resume,
    complete_checkpoints,
    defect,
    publish,
    read_state,
    read_tensors,
    recover,
    staged,
    write_state,
    write_tensors,
)


def stage(run_dir, step, text="weights"):
    folder = staged(run_dir, step)
    (folder / "inner").mkdir(parents=True)
    (folder / "model").write_text(text)
    (folder / "inner" / "state").write_text("{}")
    return folder


def test_a_published_checkpoint_is_complete_and_in_its_place(tmp_path):
    assert publish(stage(tmp_path, 3)) == tmp_path / "checkpoint-3"
    assert defect(tmp_path / "checkpoint-3") is None
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]
    assert json.loads((tmp_path / "checkpoint-3" / MARKER).read_text())["files"] == {"inner/state": 2, "model": 7}


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path):
    for step in (10, 9, 100):
        publish(stage(tmp_path, step))
    (tmp_path / "checkpoint-final").mkdir()
    assert [path.name for path in complete_checkpoints(tmp_path)] == [
        "checkpoint-9",
        "checkpoint-10",
        "checkpoint-100",
    ]
    assert checkpoint_to_resume(tmp_path, True).name == "checkpoint-100"
    assert checkpoint_to_resume(tmp_path, str(tmp_path / "checkpoint-9")) == tmp_path / "checkpoint-9"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "does not exist"),
        (lambda folder: (folder / MARKER).unlink(), "not written to the end, or not by this trainer"),
        (lambda folder: (folder / MARKER).write_text('{"files": {'), "cannot be read"),
        (lambda folder: (folder / MARKER).write_text("[]"), "cannot be read"),
        (lambda folder: (folder / "inner" / "state").unlink(), "lacks its file inner/state"),
        (lambda folder: (folder / "model").write_text("weig"), "has 4 of the 7 bytes of its file model"),
    ],
)
def test_a_damaged_checkpoint_is_ignored_and_named(tmp_path, damage, words):
    publish(stage(tmp_path, 1))
    damage(publish(stage(tmp_path, 2)))
    assert checkpoint_to_resume(tmp_path, True).name == "checkpoint-1"
    with pytest.raises(ValueError, match=rf"checkpoint-2 cannot.*{words}.*last complete one is .*checkpoint-1"):
        checkpoint_to_resume(tmp_path, str(tmp_path / "checkpoint-2"))


def test_without_a_complete_checkpoint_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match="no complete checkpoint to resume from"):
        checkpoint_to_resume(tmp_path, True)
    (tmp_path / "checkpoint-4").mkdir()  # as Transformers' own trainer, or a copy that was broken off, would leave it
    with pytest.raises(ValueError, match=r"checkpoint-4 has no complete.json"):
        checkpoint_to_resume(tmp_path, True)


class Died(BaseException):
    """The process ends here."""


def dying(monkeypatch, number):
    """Lets the process die before the call of that number, from 0, that changes the names of files."""
    calls = [number]
    for name in ("rename", "replace"):
        original = getattr(type(staged(".", 1)).__mro__[0], name)

        def step(self, target, original=original):
            if calls[0] == 0:
                raise Died
            calls[0] -= 1
            return original(self, target)

        monkeypatch.setattr(f"pathlib.Path.{name}", step)


@pytest.mark.parametrize("number", range(4))
def test_a_process_that_dies_while_it_replaces_a_checkpoint_leaves_one(tmp_path, monkeypatch, number):
    publish(stage(tmp_path, 2, "old"))
    folder = stage(tmp_path, 2, "new")
    with monkeypatch.context() as patch:
        dying(patch, number)
        try:
            publish(folder)
            has_died = False
        except Died:
            has_died = True
    assert has_died == (number < 3)  # the marker, the old one aside, the new one in its place
    recover(tmp_path)
    assert not (tmp_path / SAVING).exists()
    (checkpoint,) = complete_checkpoints(tmp_path)
    assert (checkpoint / "model").read_text() == ("old" if number == 0 else "new")


def test_what_was_half_written_is_removed(tmp_path):
    publish(stage(tmp_path, 1))
    stage(tmp_path, 2)
    recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=5), values, max_size=4))
def test_a_state_comes_back_as_it_was(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("state")
    write_state(folder, "name", state)
    write_state(folder, "name_2", {"other": [{"row": 1}]})
    assert read_state(folder, "name") == state


def test_rows_are_json_lines(tmp_path):
    rows = [{"text": "a\u2028b \ud800"}, {"text": "\n"}]
    write_state(tmp_path, "bank", {"rows": rows, "count": np.int64(2), "loss": torch.tensor(0.1)})
    lines = (tmp_path / "bank.rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert read_state(tmp_path, "bank") == {"rows": rows, "count": 2, "loss": torch.tensor(0.1).item()}


def test_what_json_cannot_hold_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"bank.rows holds a set"):
        write_state(tmp_path, "bank", {"rows": [{"words": {"a"}}]})


def test_tensors_come_back_bit_by_bit(tmp_path):
    whole = torch.randn(4, 3)
    tensors = {
        "first": whole[:2],
        "second": whole.T,
        "half": whole.bfloat16(),
        "mask": whole > 0,
        "one": torch.tensor(1),
    }
    write_tensors(tmp_path, "own", tensors)
    loaded = read_tensors(tmp_path, "own")
    assert all(
        torch.equal(value, loaded[name]) and value.dtype == loaded[name].dtype for name, value in tensors.items()
    )


@pytest.mark.parametrize("name", ["own.json", "own.rows.jsonl", "own.safetensors"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    write_state(tmp_path, "own", {"rows": [{"a": 1}]})
    write_tensors(tmp_path, "own", {"a": torch.ones(2)})
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(ValueError, match=f"{name} of the checkpoint cannot be read"):
        (read_tensors if name.endswith("safetensors") else read_state)(tmp_path, "own")

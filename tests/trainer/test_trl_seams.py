"""The private names of other libraries are those that are listed, each with a test that is there."""

import importlib
from pathlib import Path

import pytest
from transformers import Trainer
from trl import GRPOTrainer

import warm_python
from launching import environment
from serl_trl import SeRLTrainer
from serl_trl.checkpoints import ResumableGRPOTrainer
from serl_trl.trainer.trl_seams import GRPO, MEANINGS, SEAMS, TRAINER
from tiny_runs import trainer


ROOT = Path(__file__).parents[2]


def test_the_list_is_what_the_source_uses(tmp_path):
    result = warm_python.run([ROOT / ".ci" / "private_names.py"], tmp_path, cwd=ROOT, env=environment())
    assert result.returncode == 0, result.stdout
    assert f"{len(SEAMS)} private names of other libraries, at most 15." in result.stdout


def test_a_name_that_is_not_listed_is_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    private_names = importlib.import_module("private_names")
    (tmp_path / "one.py").write_text(
        "from torch import _lowrank\n\n\nclass Own:\n    def __init__(self, other):\n        self._mine = other._theirs\n"
        "        getattr(other, '_looked_up')\n        self._mine, other(_given=1)\n"
    )
    monkeypatch.setattr(private_names, "SRC", tmp_path)
    assert private_names.foreign_names() == {
        "_lowrank": ["one.py:1"],
        "_theirs": ["one.py:6"],
        "_looked_up": ["one.py:7"],
        "_given": ["one.py:8"],
    }


def test_an_override_in_a_trainer_counts_whoever_defines_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    private_names = importlib.import_module("private_names")
    (tmp_path / "one.py").write_text(
        "from trl import GRPOTrainer\n\n\nclass Own(GRPOTrainer):\n    _name = 'own'\n\n    def _compute_loss(self):\n"
        "        self._step = self._own = 1\n\n    def _helper(self):\n        return self._own\n"
    )
    monkeypatch.setattr(private_names, "SRC", tmp_path)
    assert set(private_names.foreign_names()) == {"_name", "_compute_loss", "_step"}


def test_there_are_two_classes_above_trls():
    own = SeRLTrainer.__mro__[: SeRLTrainer.__mro__.index(GRPOTrainer)]
    assert own == (SeRLTrainer, ResumableGRPOTrainer)


@pytest.mark.parametrize("seam", [*SEAMS, *MEANINGS], ids=lambda seam: seam.name)
def test_a_seam_names_a_test_that_is_there(seam):
    assert (ROOT / seam.test).is_file()


def test_the_names_are_there(tmp_path):
    run = trainer(tmp_path)
    run.train()
    owners = {GRPO: GRPOTrainer, TRAINER: Trainer}
    for seam in SEAMS:
        if seam.owner in owners:
            owner = run if seam.use == "attribute" else owners[seam.owner]
            assert hasattr(owner, seam.name), seam

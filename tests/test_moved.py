"""Old import paths give what the new ones give, with a warning; the package's own names need no heavy import."""

import importlib
import subprocess
import sys

import pytest

import serl_trl
from serl_trl.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_is_the_new_module(old):
    sys.modules.pop(f"serl_trl.{old}", None)
    with pytest.warns(FutureWarning, match=rf"serl_trl\.{old} is serl_trl\.{MOVED[old]} now"):
        module = importlib.import_module(f"serl_trl.{old}")
    assert module is importlib.import_module(f"serl_trl.{MOVED[old]}")


def test_other_paths_are_not_found():
    with pytest.raises(ModuleNotFoundError, match=r"serl_trl\.never_there"):
        importlib.import_module("serl_trl.never_there")


@pytest.mark.parametrize("name", serl_trl.__all__)
def test_every_public_name_is_there(name):
    assert getattr(serl_trl, name) is not None


def test_the_package_alone_imports_nothing_heavy():
    code = "import sys, serl_trl; print(sorted({'torch', 'transformers', 'trl', 'datasets'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "[]"

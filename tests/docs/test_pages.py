"""What the pages show is true of the code: blocks parse, and names, commands, flags, paths and links exist."""

import ast
import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from serl_trl.cli.__main__ import COMMANDS


ROOT = Path(__file__).parents[2]
HISTORY = ("CHANGELOG.md", "lab-notes.md")  # they name what was there at the time
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
CURRENT = [path for path in PAGES if path.name not in HISTORY]
OF_OTHERS = {"config_file", "num_processes"}  # flags of accelerate's launcher


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    """The code blocks of a page in one language, without the fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def all_blocks(language):
    return [
        pytest.param(text, id=f"{name_of(path)}-{i}")
        for path in PAGES
        for i, text in enumerate(blocks(path, language))
    ]


def heredocs():
    """Python that a shell block feeds to the interpreter."""
    return [
        pytest.param(text, id=f"{name_of(path)}-{i}")
        for path in PAGES
        for block in blocks(path, "bash")
        for i, text in enumerate(re.findall(r"<<'EOF'\n(.*?)^EOF$", block, re.MULTILINE | re.DOTALL))
    ]


def anchors(path):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("text", [*all_blocks("python"), *heredocs()])
def test_python_compiles_and_imports_what_is_there(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.parametrize("text", all_blocks("yaml"))
def test_yaml_is_parsed(text):
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.parametrize("name", ["CITATION.cff", ".pre-commit-config.yaml"])
def test_files_for_other_tools_are_parsed(name):
    assert isinstance(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")), dict)


def test_there_are_blocks_of_each_kind():
    assert len(all_blocks("python")) >= 5
    assert len(all_blocks("bash")) >= 10
    assert heredocs()
    assert all_blocks("yaml")


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_commands_exist(path):
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"(?:serl-trl|serl_trl\.cli) ([a-z]+)", text) + re.findall(r"{command-help} (\w+)", text)
    assert set(named) <= set(COMMANDS)


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_paths_exist(path):
    text = path.read_text(encoding="utf-8")
    folders = r"recipes|src|tests|docs|examples|benchmarks|accelerate_configs|\.ci"
    named = set(re.findall(rf"(?<![\w/.])(?:{folders})/[\w./-]*[\w/]", text))
    of_build = {"docs/_build/html"}
    assert [place for place in named - of_build if "NAME" not in place and not (ROOT / place).exists()] == []


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_configurations_exist(path):
    text = path.read_text(encoding="utf-8")
    for flag, folder in (("config", ROOT / "recipes/configs"), ("accelerate_config", ROOT / "accelerate_configs")):
        named = set(re.findall(rf"--{flag} ([\w./]+)", text)) - {"FILE", "NAME"}
        missing = [name for name in named if not (ROOT / name).is_file() and not (folder / f"{name}.yaml").is_file()]
        assert missing == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        page = path.parent / place if place else path
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page), target


@pytest.fixture(scope="module")
def known_flags():
    """Every flag of the commands and studies."""
    from trl import ModelConfig

    from serl_trl import SeRLConfig
    from serl_trl.cli.plan_arguments import PlanArguments
    from serl_trl.cli.train import SeRLScriptArguments
    from serl_trl.cli.write_instructions import GenerationArguments

    kinds = (SeRLConfig, ModelConfig, PlanArguments, SeRLScriptArguments, GenerationArguments)
    found = {field.name for kind in kinds for field in fields(kind)}
    for folder in ("src/serl_trl/cli", "recipes/experiments"):
        for file in (ROOT / folder).glob("*.py"):
            text = file.read_text(encoding="utf-8")
            found |= set(re.findall(r'"--(\w+)"', text)) | set(re.findall(r"^    (\w+): ", text, re.MULTILINE))
    return found | {"config"}


@pytest.mark.parametrize("path", CURRENT, ids=name_of)
def test_flags_exist(path, known_flags):
    named = set(re.findall(r"(?<!\w)--([a-z]\w*_\w+)(?![\w-])", path.read_text(encoding="utf-8")))
    assert named - known_flags - OF_OTHERS == set()


def test_every_room_has_a_page_that_the_index_lists():
    index = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "src/serl_trl").glob("*/__init__.py")} | {"types"}
    listed = set(re.findall(r"^api/(\w+)$", index, re.MULTILINE))
    assert listed == rooms - {"cli"}
    for room in listed:
        page = (ROOT / f"docs/reference/api/{room}.md").read_text(encoding="utf-8")
        assert f".. automodule:: serl_trl.{room}\n" in page


def test_the_index_names_what_the_package_exports():
    import serl_trl

    table = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    assert {name for name in serl_trl.__all__ if f"`{name}`" not in table} == set()

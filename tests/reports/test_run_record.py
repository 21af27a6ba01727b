import json
from dataclasses import dataclass, field

import pytest

from serl_trl import SeRLConfig
from serl_trl.reports.run_record import changed_from_defaults, environment, public, write_run_record


@dataclass
class Recipe:
    seed_file: str | None = None
    api_key: str | None = None
    filters: list = field(default_factory=list)


def config(folder, **kwargs):
    return SeRLConfig(str(folder), use_cpu=True, bf16=False, **kwargs)


def test_nothing_but_what_was_given_differs_from_the_defaults():
    assert changed_from_defaults(config("out")).keys() == {"output_dir", "use_cpu", "bf16"}
    changed = changed_from_defaults(config("out", seed=3, generation_batch_size=512, lr_scheduler_kwargs={"a": 1}))
    assert changed["seed"] == [42, 3]
    assert changed["generation_batch_size"] == [None, 512]
    assert changed["lr_scheduler_kwargs"] == [None, {"a": 1}]


def test_the_record_of_a_run_that_is_resumed_keeps_its_beginning(tmp_path):
    recipe = Recipe(seed_file="/home/somebody/secret project/seeds.jsonl", api_key="sk-1", filters=["a:b"])
    path = write_run_record(config(tmp_path, hub_token="hf_abc"), model="tiny", others={"recipe": recipe})
    first = json.loads(path.read_text())
    assert first["settings"]["recipe"] == {"seed_file": ".../seeds.jsonl", "filters": ["a:b"]}
    assert first["changed"]["recipe"] == {"seed_file": [None, ".../seeds.jsonl"], "filters": [[], ["a:b"]]}
    assert first["settings"]["training"]["num_instructions"] == 2000
    assert first["environment"]["packages"]["trl"]
    for secret in ("hf_abc", "sk-1", "somebody", "HUB_TOKEN"):
        assert secret not in path.read_text()
    write_run_record(config(tmp_path), model="tiny", resumed_from="runs/x/checkpoint-4")
    second = json.loads(path.read_text())
    assert second["started"] == first["started"]
    assert [session["resumed_from"] for session in second["sessions"]] == [None, "checkpoint-4"]
    write_run_record(config(tmp_path), model="tiny")
    assert len(json.loads(path.read_text())["sessions"]) == 1


def test_of_a_run_whose_first_session_left_no_record_the_start_is_not_known(tmp_path):
    path = write_run_record(config(tmp_path), model="tiny", resumed_from="checkpoint-4")
    assert json.loads(path.read_text())["started"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("runs/tiny", "runs/tiny"),
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"),
        ("/data/me/run/", ".../run/"),
        ("~/models/base", ".../base"),
        ("C:\\Users\\me\\run", ".../run"),
        ({"max_tokens": 3, "token": "x"}, {"max_tokens": 3}),
        ([{"password": "y", "eos_token_id": 2}], [{"eos_token_id": 2}]),
        (0.5, 0.5),
    ],
)
def test_what_is_public(value, expected):
    assert public(value) == expected


def test_environment():
    found = environment(config("out"))
    assert found["device"] == "cpu"
    assert found["processes"] == 1
    assert found["torch threads"] >= 1

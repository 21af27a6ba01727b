"""Pushes to a Hub that answers over HTTP, by huggingface_hub's own client; see hub_server.py and hub_client.py."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hub_client_runs import hub_environment
from hub_server import USER, HubServer, front_matter


pytestmark = pytest.mark.slow  # one client's whole day: seven runs, three of them by the recipe

FAILURES = {
    "POST /api/models/me/full/preupload": (503, 1),  # the client tries again
    "POST /api/models/me/adapter/commit": (507, 1),  # the first push of a checkpoint
    "POST /api/repos/create .*cut": (0, 9),
    "PUT /me/half/lfs": (507, 9),  # half-way: what is text has been taken
}
NO_DIFFERENCE = 1e-6  # of logits up to 15
MERGED_DIFFERENCE = 1e-4  # rounding of a sum in float32


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The server, the client's folder, what it found, and its environment."""
    folder = tmp_path_factory.mktemp("hub")
    with HubServer() as server:
        server.failures = dict(FAILURES)
        environment = hub_environment(server, folder)
        command = [sys.executable, str(Path(__file__).parents[1] / "scripts" / "hub_client.py"), str(folder)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
        assert result.returncode == 0, result.stderr[-3000:]
        yield server, folder, json.loads((folder / "found.json").read_text()), environment


def files(hub, repo):
    return hub[0].repos["models", repo].files


def card(hub, repo):
    text = files(hub, repo)["README.md"].decode()
    return front_matter(text), text


def test_a_pushed_model_is_the_trained_one(hub):
    found = hub[2]["full_model"]
    assert found["difference"] < NO_DIFFERENCE < found["difference_base"]
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "instructions/iteration_2.jsonl"} <= set(
        files(hub, "me/full")
    )
    assert found["snippet"].strip()
    assert not any(b"hf_write" in data for data in files(hub, "me/full").values())  # a token that was a setting


def test_checkpoints_are_pushed_whole_and_resumed_from(hub):
    found = hub[2]["full_model"]
    assert found["defect"] is None
    assert found["is_resumed_exactly"]
    messages = hub[0].repos["models", "me/full"].messages
    assert [message for message in messages if message.endswith("checkpoint")] == [
        "Training in progress, step 1, checkpoint",
        "Training in progress, step 2, checkpoint",
    ]
    assert messages[-1] == "End of training"
    assert not any("_saving" in path for path in files(hub, "me/full"))


def test_an_adapter_on_its_base_is_the_trained_model(hub):
    found = hub[2]["adapter"]
    assert max(found["difference"], found["difference_saved"]) < NO_DIFFERENCE
    assert found["difference_merged"] < MERGED_DIFFERENCE < found["difference_base"]
    assert found["defect"] is None  # of last-checkpoint
    assert front_matter(found["checkpoint_card"])["base_model"] == "me/base"
    assert json.loads(files(hub, "me/adapter")["adapter_config.json"])["base_model_name_or_path"] == "me/base"
    assert "model.safetensors" not in files(hub, "me/adapter")
    assert found["snippet"].strip()


def test_a_checkpoint_that_could_not_be_pushed_is_told(hub):
    (warning,) = hub[2]["adapter"]["warnings"]
    assert re.search(r"checkpoint-1 to me/adapter failed .*507.*It is in .*checkpoint-1; training goes on", warning)
    assert hub[0].repos["models", "me/adapter"].messages[-1] == "End of training"


def test_a_merged_adapter_is_a_plain_model(hub):
    found = hub[2]["recipe"]
    assert found["lora"] is None  # no error
    assert max(found["difference"], found["difference_saved"]) < MERGED_DIFFERENCE < found["difference_base"]
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md"} <= set(found["merged_files"])
    assert not any("adapter" in path for path in files(hub, "me/lora-merged"))
    assert not any("merged" in path for path in files(hub, "me/lora"))
    data, text = card(hub, "me/lora-merged")
    assert (data["library_name"], data["base_model"]) == ("transformers", "me/base")
    assert found["snippet"].strip()
    assert "| 1 | " in text  # the iterations


def test_the_card_says_what_was_done(hub):
    data, text = card(hub, "me/lora")
    assert data["base_model"] == "me/base"
    assert data["license"] == "mit"
    assert data["library_name"] == "peft"
    assert {"trl", "serl", "lora"} <= set(data["tags"])
    record = json.loads(files(hub, "me/lora")["evaluation.json"])
    results = {metric["name"]: metric["value"] for metric in data["model-index"][0]["results"][0]["metrics"]}
    assert results["sampled pass@1 (%)"] == round(100 * record["after"]["sampled pass@1"][0], 1)
    for name in ("before", "after"):
        assert "{:.1%} [{:.1%}, {:.1%}]".format(*record[name]["sampled pass@1"]) in text
    for words in (
        "https://arxiv.org/abs/2505.20347",
        "Seeds: 12 prompts, from the file seeds.jsonl.",
        "On 12 held-out problems from the file problems.jsonl, 2 samples each",
        "1 optimiser steps on 1 process",
        "| learning_rate | 0.01 |",
        "| lora_r, lora_alpha | 16, 32 |",
        "| lora_target_modules | q_proj, v_proj |",
    ):
        assert words in text
    rows = [json.loads(line) for line in files(hub, "me/lora")["instructions/iteration_1.jsonl"].splitlines()]
    assert f"| 1 | {len(rows)} | {sum(row['is_kept'] for row in rows)} | " in text


def test_written_instructions_are_a_dataset(hub):
    written, pushed = hub[2]["full_model"]["num_instructions"]
    assert written == pushed > 0
    data, text = card(hub, "me/full")
    assert data["datasets"] == ["me/instructions"]
    assert "https://huggingface.co/datasets/me/instructions" in text


def test_no_path_of_this_machine_is_published(hub):
    for repo in ("me/full", "me/adapter", "me/lora", "me/lora-merged"):
        for name in ("README.md", "adapter_config.json", "config.json"):
            assert str(hub[1]).encode() not in files(hub, repo).get(name, b"")
    local_card = hub[2]["local_base"]["cut"][2]
    assert str(hub[1]) not in local_card
    assert "base_model" not in front_matter(local_card)
    assert "The base is not on the Hub" in local_card


@pytest.mark.parametrize("case", ["cut", "forbidden"])
def test_a_failed_push_loses_nothing(hub, case):
    found = hub[2]["local_base"]
    message = found["cut"][0] if case == "cut" else found[case]
    reason = {"cut": "disconnected", "forbidden": "401"}[case]
    assert re.search(rf"The push to \S+ failed \(.*{reason}.*\). Nothing is lost: .* are in {hub[1]}/local", message)
    assert {"adapter_model.safetensors", "tokenizer.json", "README.md"} <= set(found["cut"][1])


def test_a_recipe_that_cannot_push_ends_before_it_trains(hub):
    found = hub[2]["recipe"]
    assert re.match(r"error: The repository me/refused cannot be created .*401.*hf auth login", found["refused"])
    assert "\n" not in found["refused"]
    assert found["refused_files"] == []


def test_a_push_that_stops_half_way_is_made_up_for(hub):
    server, folder, found, environment = hub
    message = found["recipe"]["half"]
    assert re.match(r"error: The push to me/half failed \(.*507.*Nothing is lost", message)
    assert "\n" not in message
    assert {"model.safetensors", "tokenizer.json", "README.md", "evaluation.json"} <= set(
        found["recipe"]["half_files"]
    )
    assert server.repos["models", "me/half"].messages == ["initial commit"]
    command = shlex.split(re.search(r"`(hf upload .*)`", message)[1])
    server.failures.clear()
    hf = Path(sys.executable).with_name(command[0])
    subprocess.run([str(hf), *command[1:]], env=environment, check=True, capture_output=True, timeout=120)
    assert set(files(hub, "me/half")) == set(found["recipe"]["half_files"])
    assert files(hub, "me/half")["model.safetensors"] == (folder / "half" / "model.safetensors").read_bytes()
    assert "| sampled pass@1 |" in files(hub, "me/half")["README.md"].decode()


def test_whoever_has_no_token_pushes_nothing(hub):
    assert all(repo.startswith(f"{USER}/") for _, repo in hub[0].repos)
    assert not {"me/cut", "me/local", "me/refused"} & {repo for _, repo in hub[0].repos}

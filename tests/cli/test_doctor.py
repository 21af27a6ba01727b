"""`serl-trl doctor`: what would stop a run is told with its remedy, and the exit code says so."""

import importlib.metadata
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from hub_client_runs import run_with_hub
from hub_server import HubServer
from serl_trl.cli import doctor
from serl_trl.trainer import preflight


ROOT = Path(__file__).parents[2]
OFFLINE = "Hub: offline by HF_HUB_OFFLINE"


def found(capsys, *flags):
    """The findings by status, and the exit code."""
    code: str | int | None = 0
    try:
        doctor.main(list(flags))
    except SystemExit as end:
        code = end.code
    lines = capsys.readouterr().out.splitlines()[1:-1]
    return {status: [line[6:] for line in lines if line.startswith(status)] for status in ("ok", "note", "fail")}, code


def packages(monkeypatch, versions):
    """The findings about packages, if those versions were installed."""
    version = importlib.metadata.version

    def installed(name):
        if versions.get(name, "") is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions.get(name) or version(name)

    monkeypatch.setattr(importlib.metadata, "version", installed)
    return list(doctor.package_findings())


def test_the_tested_versions_are_those_that_installs_use():
    assert (ROOT / "constraints.txt").resolve() == doctor.CONSTRAINTS.resolve()
    tested = doctor.tested_versions()
    assert len(tested) > 30
    assert all(version[0].isdigit() for version in tested.values())
    assert tested["rouge-score"] == tested[doctor.normalised("rouge_score")]


def test_a_machine_that_passes_the_tests_can_run(capsys, tmp_path):
    texts, code = found(capsys, "--output_dir", str(tmp_path / "runs" / "mine"))
    assert (texts["fail"], code) == ([], 0)
    assert any(text.startswith("imported: torch") for text in texts["ok"])
    assert any(text.startswith("CPU: ") for text in texts["ok"])
    assert any(str(tmp_path) in text for text in texts["ok"] + texts["note"])
    assert any(text.startswith(OFFLINE) for text in texts["note"])
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_of_a_kind_needs_is_a_failure_without_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(preflight, "installed_vllm", lambda: (False, None))
    monkeypatch.setattr("serl_trl.trainer.installed_vllm", lambda: (False, None))
    texts, code = found(capsys, "--use_vllm", "--push_to_hub", "--output_dir", str(tmp_path))
    assert code == 1
    vllm, hub = texts["fail"]
    assert "--use_vllm needs it" in vllm
    assert "pip install 'vllm" in vllm
    assert hub.startswith(OFFLINE)
    assert hub.endswith("unset HF_HUB_OFFLINE to push")


@pytest.mark.parametrize(("version", "status"), [("0.25.0", "ok"), ("0.30.0+cpu", "ok"), ("0.1.0", "fail")])
def test_vllm_is_held_against_trls_range(monkeypatch, version, status):
    monkeypatch.setattr("serl_trl.trainer.installed_vllm", lambda: (True, version))
    (finding,) = doctor.vllm_findings(is_needed=True)
    assert finding.status == status
    assert version in finding.text


@pytest.mark.parametrize(
    ("versions", "status", "message"),
    [
        ({"trl": None}, "fail", "trl is not installed: pip install 'trl==1.16.0'"),
        ({"trl": "1.17.0"}, "fail", "trl 1.17.0 is installed, and serl_trl takes .*<1.17.*pip install 'trl==1.16.0'"),
        ({"rich": "14.0.0"}, "note", "rich 14.0.0 is admitted; tested was 15.0.0"),
        ({"torch": "2.13.0+cu130"}, "ok", "torch 2.13.0"),
    ],
)
def test_versions_are_held_against_what_is_taken_and_tested(monkeypatch, versions, status, message):
    texts = [finding.text for finding in packages(monkeypatch, versions) if finding.status == status]
    assert any(re.search(message, text) for text in texts), texts


def test_an_installation_that_cannot_be_imported_is_a_failure(monkeypatch):
    def broken(name):
        raise OSError("libgomp.so.1: cannot open\nshared object file")

    monkeypatch.setattr("importlib.import_module", broken)
    (finding,) = doctor.import_findings()
    assert finding.status == "fail"
    assert "libgomp.so.1: cannot open shared object" in finding.text
    assert f"--constraint {doctor.CONSTRAINTS} torch" in finding.text


@pytest.mark.parametrize(("free_gb", "status"), [(0.5, "fail"), (5, "note"), (500, "ok")])
def test_a_full_disk_stops_a_run(monkeypatch, tmp_path, free_gb, status):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, int(free_gb * 1e9)))
    assert next(doctor.disk_findings(str(tmp_path))).status == status


def test_a_folder_that_cannot_be_written_to_is_named(monkeypatch, tmp_path):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)  # root may write anywhere
    finding = next(doctor.disk_findings(str(tmp_path / "runs")))
    assert finding.status == "fail"
    assert f"{tmp_path} cannot be written to (Permission denied): choose another --output_dir" in finding.text


def test_the_login_is_asked_of_the_hub(tmp_path):
    script = "from serl_trl.cli.doctor import hub_findings; print(*hub_findings(is_needed=False))"
    with HubServer() as hub:
        texts = [
            run_with_hub(hub, tmp_path, "-c", script, token=token).stdout for token in ("hf_write", "hf_bad", None)
        ]
        asked = len(hub.requests)
        offline = run_with_hub(hub, tmp_path, "-c", script, HF_HUB_OFFLINE="1").stdout
        assert len(hub.requests) == asked == 2
    gone = run_with_hub(hub, tmp_path, "-c", script).stdout
    for text, expected in zip(
        (*texts, offline, gone),
        ("status='ok', text='Hub: logged in as me at ", "status='fail', text='Hub: the token is not accepted",
         "status='note', text='Hub: not logged in", f"status='note', text='{OFFLINE}", "status='note', text='Hub: not reached"),
        strict=True,
    ):  # fmt: skip
        assert expected in text

"""The page of a run folder that is written by hand, read as a browser reads it."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from run_folders import instruction, step, write_lines, write_run
from serl_trl.cli import report
from serl_trl.reports import page
from serl_trl.reports.page import page_or_warning, write_page
from serl_trl.reports.page_samples import instruction_rows
from serl_trl.reports.run_folder import RunFolder


ROOT = Path(__file__).parents[2]
HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'>{{ 7*7 }}{% raw %}&amp;$x^2$]]>-->\u202e"


class Reader(HTMLParser):
    """Text by section, and every tag with its attributes."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.section, self.open = [], {}, "header", []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag not in ("mark", "span", "code"):
            self.texts[self.section] = self.texts.get(self.section, "") + " "
        if tag not in ("meta", "br", "input", "use", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def text(self, section):
        return " ".join(self.texts[section].split())


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    return Reader(write_page(write_run(tmp_path_factory.mktemp("page") / "run")))


def test_header_says_what_the_run_was(read):
    text = read.text("header")
    for fact in ("the base, trained with SeRL", "2025-01-02 03:04 UTC", "from checkpoint-1", "12 s", "2", "cpu"):
        assert fact in text
    assert "Optimiser steps 3 " in text
    assert "not come to its end" not in text


def test_verdict_has_the_numbers_of_the_evaluation(read):
    text = read.text("verdict")
    assert text.startswith("Sampled pass@1 rose from 40.4% to 60.6%; greedy pass@1 rose from 25.0% to 50.0%")
    assert "greedy pass@1 25.0% 20.0 to 30.0% 50.0% 45.0 to 55.0% +25.0 points" in text
    assert "tokens 10.5 9.0 to 12.0 9.5 8.0 to 11.0 \u22121.0" in text


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([0.41, 0.39, 0.43], "Sampled pass@1 went from 40.4% to 41.0%, with intervals that overlap; greedy"),
        ([0.3, 0.2, 0.38], "Sampled pass@1 fell from 40.4% to 30.0%; greedy"),
    ],
)
def test_the_verdict_claims_no_more_than_the_intervals_allow(tmp_path, after, words):
    folder = write_run(tmp_path / "run")
    record = json.loads((folder / "evaluation.json").read_text())
    record["after"]["sampled pass@1"] = after
    (folder / "evaluation.json").write_text(json.dumps(record))
    assert words in Reader(write_page(folder)).text("verdict")


def test_the_verdict_says_what_a_gain_is_made_of(tmp_path):
    folder = write_run(tmp_path / "run")
    record = json.loads((folder / "evaluation.json").read_text())
    record["gain"] = {
        "greedy pass@1": {
            "total": [0.25, 0.125, 0.375],
            "from_no_answer": [0.3125, 0.2, 0.4],
            "from_wrong_answer": [-0.0625, -0.1, 0.0],
        }
    }
    (folder / "evaluation.json").write_text(json.dumps(record))
    told = Reader(write_page(folder)).text("verdict")
    assert "change of greedy pass@1 is +25.0 points (paired 95% interval +12.5 points to +37.5 points)" in told
    assert "+31.2 points from completions without an answer, −6.2 points from wrong answers" in told


def test_watched_sets_are_rows_of_the_verdict(tmp_path):
    folder = write_run(tmp_path / "run")
    record = json.loads((folder / "evaluation.json").read_text())
    record["watched"] = {
        "sums": {"before": {"greedy pass@1": [0.5, 0.4, 0.6]}, "after": {"greedy pass@1": [0.25, 0.2, 0.3]}}
    }
    (folder / "evaluation.json").write_text(json.dumps(record))
    assert "greedy pass@1 on sums 50.0% 40.0 to 60.0% 25.0% 20.0 to 30.0%" in Reader(write_page(folder)).text(
        "verdict"
    )


def test_alarms_come_first(tmp_path):
    folder = write_run(tmp_path / "run")
    assert "collapsed" not in Reader(write_page(folder)).text("header")
    alarm = {"step": 2, "sign": "abandoned", "evidence": "<b>ten</b> of the probes", "healthy_step": 1}
    record = {"action": "restore", "alarms": [alarm], "restored": "checkpoint-1"}
    (folder / "collapse.json").write_text(json.dumps(record))
    text = Reader(write_page(folder)).text("header")
    assert "Step 2: the votes may have collapsed. <b>ten</b> of the probes." in text
    assert "The model is that of checkpoint-1, the last checkpoint without a sign." in text


def test_curves_say_their_numbers_and_mark_the_iterations(read):
    text = read.text("curves")
    assert text.startswith("The mean reward went from 0.31 to 0.53")
    assert "Vote reward from 0.31 to 0.53 (steps 1 to 3)." in text
    assert "Mean vote share from 0.41 to 0.63 (steps 1 to 3)." in text
    assert "Sampled 0.50 at step 0; greedy 0.25 at step 0." in text
    assert text.count("iteration 2") == 4  # in each of the four pictures


def test_votes_by_iteration(read):
    text = read.text("votes")
    assert text.startswith("Vote shares between 0.2 and 0.8: 100% of the groups in iteration 1, 0% in iteration 2")
    assert "1 0% 50% 25% 25% 0%" in text  # steps 1 and 2, averaged
    assert "2 0% 0% 0% 0% 100%" in text


def test_filters_count_from_written_to_trained_on(read):
    text = read.text("filters")
    assert text.startswith("4 of 7 instructions passed the filters; \u201cnovelty\u201d rejected most, 2")
    for line in (
        "written 5 2",
        "rejected by novelty: too similar 2 0",
        "rejected by mine: odd 0 1",
        "kept 3 1",
        "voted on 2 1",
        "0.2 to 0.8: trained on 1 0",
    ):
        assert line in text


def test_drift_warns_where_most_is_far(read):
    text = read.text("drift")
    assert text.startswith("75% of what was kept last lies far from all seeds")
    assert "Most of it has left the seeds." in text
    assert "Mean from 0.25 to 0.25 (seeds 0.25)." in text


def test_instructions_with_their_votes(read):
    text = read.text("instructions")
    assert text.startswith("What was written: 7 instructions")
    assert "one 0.50 7 trained on seed and 1 shown Seed: the seed parent" in text
    assert "two 1.00 too easy" in text
    assert "three kept, not used" in text
    assert "six 0.10 too hard" in text
    assert "seven rejected: mine odd" in text


def test_completions_with_the_answer_marked(read, tmp_path):
    text = read.text("held-out")
    assert text.startswith("Held-out problems right by greedy decoding: 0 of 1 before, 1 of 1 after")
    assert "before: wrong Hm. It is \\boxed{8}. after: right Hm. It is \\boxed{9}." in text
    text = read.text("trained")
    assert "step 3, vote: 3, share 0.50 of 2 completions" in text
    assert "MajorityVoteReward 1.00 So \\boxed{3}" in text
    assert "No answer: unmarked" in text
    html = write_page(write_run(tmp_path / "run")).read_text()
    assert html.count("<mark>") == 3
    assert "\\boxed{<mark>9</mark>}" in html


def test_settings_that_differ_come_first(read):
    text = read.text("settings")
    assert text.startswith("1 settings differ from the defaults")
    assert "seed 43 41 training" in text
    assert text.index("seed 43 41") < text.index("All 6 settings") < text.index("seeds.jsonl") < text.index("1.16.0")


def test_the_page_needs_nothing_but_itself(read):
    for tag, attributes in read.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "form"), (tag, attributes)
        for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
    policy = next(attributes["content"] for tag, attributes in read.tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'")


def test_every_picture_has_words(read):
    pictures = [attributes for tag, attributes in read.tags if tag == "svg"]
    assert len(pictures) == 4 + 1 + 1 + 6
    assert all(len(attributes["aria-label"]) > 10 for attributes in pictures)


def test_no_definition_has_the_name_of_another(read):
    names = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(names) == len(set(names))
    used = [attributes["href"][1:] for tag, attributes in read.tags if tag == "use"]
    assert set(used) <= set(names)


def test_hostile_text_stays_text(tmp_path):
    plain = Reader(write_page(write_run(tmp_path / "plain")))
    path = write_page(write_run(tmp_path / "hostile", lambda text: text + HOSTILE))
    hostile = Reader(path)
    kinds = lambda read: {tag for tag, _ in read.tags}  # noqa: E731
    assert kinds(hostile) <= kinds(plain)
    assert sum(tag == "script" for tag, _ in hostile.tags) == 1
    assert not any(name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    for section in ("header", "verdict", "filters", "instructions", "held-out", "trained", "settings"):
        assert "{{ 7*7 }}{% raw %}" in hostile.texts[section], section
        assert HOSTILE in hostile.texts[section], section


def test_odd_characters_do_not_stop_it(tmp_path):
    folder = write_run(tmp_path / "run", lambda text: text + "\0\ud800\u2028\r\n\x1b[31m")
    assert "one" in Reader(write_page(folder)).text("instructions")


@pytest.mark.parametrize(
    ("gone", "section", "words"),
    [
        ("run.json", "header", "There is no run.json"),
        ("run.json", "settings", "Settings are not known"),
        ("run.json", "filters", "The band of vote shares is not known"),
        ("evaluation.json", "verdict", "There is no verdict"),
        ("metrics.jsonl", "curves", "No step was logged"),
        ("metrics.jsonl", "drift", "No drift was measured"),
        ("metrics.jsonl", "header", "not come to its end"),
        ("metrics.jsonl", "votes", "67% of the groups"),  # from the instructions: shares 0.5 and 1.0, then 0.1
        ("instructions", "filters", "No instructions were written"),
        ("instructions", "instructions", "There are no instructions to show"),
        ("held_out_before.jsonl", "held-out", "1 of 1 after"),
        ("completions", "trained", "--log_completions true"),
    ],
)
def test_what_is_missing_is_said(tmp_path, gone, section, words):
    folder = write_run(tmp_path / "run")
    path = folder / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if gone == "metrics.jsonl":
        words = words.replace("67%", "50%")
    assert words in Reader(write_page(folder)).text(section)


def test_a_folder_with_next_to_nothing(tmp_path):
    (tmp_path / "run.json").write_text("[1]")
    read = Reader(write_page(tmp_path))
    assert "run.json: 1 part could not be read" in read.text("header")
    assert "No votes were logged" in read.text("votes")


def test_lines_torn_by_a_kill_are_counted(tmp_path):
    folder = write_run(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "rew')
    (folder / "completions" / "completions_00003.parquet").write_bytes(b"PAR1 and no more")
    text = Reader(write_page(folder)).text("header")
    assert "metrics.jsonl: 1 part could not be read" in text
    assert "completions_00003.parquet: 1 part" in text


def test_many_instructions_are_sampled_evenly(tmp_path):
    rows = [instruction(f"number {i} of many " + "x" * 900, 0.5) for i in range(1, 1001)]
    write_lines(tmp_path / "instructions" / "iteration_1.jsonl", rows)
    path = write_page(tmp_path)
    text = Reader(path).text("instructions")
    assert text.startswith("What was written: 300 of 1,000 instructions, spread evenly")
    assert "number 1 of many" in text
    assert "number 1000 of many" in text
    assert len(re.findall(r"number \d+ of many", text)) == 300
    assert path.stat().st_size < 500_000


def test_many_iterations_are_sampled_evenly(tmp_path):
    write_lines(tmp_path / "metrics.jsonl", [step(number, 0.5, [0, 0.5, 0.5, 0, 0]) for number in range(1, 201)])
    for number in range(1, 101):
        write_lines(tmp_path / "instructions" / f"iteration_{number}.jsonl", [instruction(f"of {number}", 0.5)])
    path = write_page(tmp_path)
    for section in ("votes", "filters"):
        text = Reader(path).text(section)
        assert "12 of 100 iterations, spread evenly." in text
        assert "iteration 100" in text
    assert path.stat().st_size < 500_000


def test_an_error_while_drawing_is_told_and_not_raised(tmp_path, monkeypatch, caplog):
    def fail(*args):
        raise RuntimeError("no ink")

    monkeypatch.setattr(page, "page_contents", fail)
    assert page_or_warning(write_run(tmp_path / "run")) is None
    assert "RuntimeError: no ink" in caplog.text
    assert "serl-trl report" in caplog.text


@pytest.mark.slow
def test_on_the_command_line(tmp_path):
    recipe = report
    with pytest.raises(SystemExit, match=r"error: There is no folder .*nowhere"):
        recipe.main([str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match=r"error: .* is no run folder: it has none of run.json"):
        recipe.main([str(tmp_path)])
    folder = write_run(tmp_path / "run")
    command = [sys.executable, "-m", "serl_trl.cli", "report", str(folder)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    assert result.stdout.strip() == str(folder / "report.html")
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("share", "fate"), [(0.8 + 1e-7, "trained on"), (0.81, "too easy"), (0.2 - 1e-7, "trained on")]
)
def test_the_band_is_that_of_the_gate(tmp_path, share, fate):
    folder = write_run(tmp_path / "run")
    write_lines(folder / "instructions" / "iteration_1.jsonl", [instruction("exactly one", share)])
    assert instruction_rows(RunFolder(folder))["rows"][0]["fate"] == fate

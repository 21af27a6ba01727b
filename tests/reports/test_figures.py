import json
import re
import xml.etree.ElementTree as ElementTree

from run_folders import write_run
from serl_trl.reports.figures import (
    ACCURACY,
    CURVES,
    _style_for_page,
    curves_of,
    draw_curve,
    draw_funnel,
    iteration_starts,
    share_histograms,
    styled_figure,
    svg,
)
from serl_trl.reports.run_folder import RunFolder


def test_colours_are_the_page_s_and_text_stays_text(tmp_path):
    folder = RunFolder(write_run(tmp_path / "run"))
    drawn = svg(lambda axes: draw_curve(axes, folder, CURVES["groups"]), "groups", 'more "words" <b>')
    assert drawn.startswith('<svg class="picture" viewBox="0 0 360.0 244.8" role="img" aria-label="more &#34;words')
    assert re.findall("#[0-9a-f]{6}", re.sub(r"(?:url\(|href=\")#\w+", "", drawn)) == []
    assert "var(--series-4)" in drawn
    assert ">too easy<" in drawn
    assert "http" not in drawn
    assert len(drawn) < 30_000


def test_ceilings_and_watched_sets_are_drawn_where_they_were_measured(tmp_path):
    path = write_run(tmp_path / "run")
    assert curves_of(RunFolder(path)) == CURVES
    row = {"step": 3, "eval_maj@4": 0.75, "eval_my set_greedy pass@1": 0.5, "eval_my set_maj@4": 0.5}
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    curves = curves_of(RunFolder(path))
    assert curves[ACCURACY] == CURVES[ACCURACY] | {"eval_maj@4": "maj@4"}
    assert curves["greedy accuracy on watched sets"] == {"eval_my set_greedy pass@1": "my set"}
    assert list(curves)[:4] == list(CURVES)
    axes = styled_figure().subplots()
    draw_curve(axes, RunFolder(path), curves["greedy accuracy on watched sets"])
    assert axes.lines[0].get_xydata().tolist() == [[3, 0.5]]


def test_pictures_repeat_to_the_letter(tmp_path):
    folder = RunFolder(write_run(tmp_path / "run"))
    first, second = (svg(lambda axes: draw_funnel(axes, folder), "filters", "words") for _ in range(2))
    assert first == second


def test_bars_add_up_to_what_was_written(tmp_path):
    axes = styled_figure().subplots()
    draw_funnel(axes, RunFolder(write_run(tmp_path / "run")))
    bars = {container.get_label(): [bar.get_width() for bar in container] for container in axes.containers}
    assert bars == {
        "in the band": [1, 0],
        "outside the band": [1, 1],
        "kept, not used": [1, 0],
        "rejected: novelty": [2, 0],
        "rejected: mine": [0, 1],
    }


def test_histograms_are_means_of_steps_or_counts_of_instructions(tmp_path):
    folder = write_run(tmp_path / "run")
    assert share_histograms(RunFolder(folder)) == {1: [0, 0.5, 0.25, 0.25, 0], 2: [0, 0, 0, 0, 1]}
    (folder / "metrics.jsonl").unlink()
    assert share_histograms(RunFolder(folder)) == {1: [0, 0, 0.5, 0, 0.5], 2: [1, 0, 0, 0, 0]}


def test_iterations_start_between_steps(tmp_path):
    assert iteration_starts(RunFolder(write_run(tmp_path / "run"))) == [2.5]


def test_words_that_look_like_code_stay_as_they_are():
    words = '#c9ced4 <g id="a_1"> font: 12px x; fill: #1d2329 & <metadata>'
    drawn = svg(lambda axes: axes.set_title(words), "words", "alt")
    [root] = re.findall(r"<svg .*</svg>", drawn, re.DOTALL)
    assert words in [element.text for element in ElementTree.fromstring(root).iter("text")]
    assert "font-family" not in drawn
    assert "DejaVu" not in drawn
    assert "<metadata" not in drawn.replace("&lt;metadata", "")


def test_names_of_watched_sets_may_hold_any_character(tmp_path):
    path = write_run(tmp_path / "run")
    with (path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 3, "eval_a\0b\x1b\ud800_greedy pass@1": 0.5}) + "\n")
    folder = RunFolder(path)
    series = curves_of(folder)["greedy accuracy on watched sets"]
    drawn = svg(lambda axes: draw_curve(axes, folder, series), "watched", "alt")
    assert ">a?b??<" in drawn


def test_a_font_in_one_declaration_leaves_its_size():
    style = _style_for_page("font: bold 9.5px 'DejaVu Sans', sans-serif; text-anchor: end; fill: #1d2329")
    assert style == "font-size: 9.5px; text-anchor: end; fill: var(--ink)"

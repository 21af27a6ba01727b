"""The page of a run as a browser shows it: what its script does, and that nothing is wider than the window."""

import json

import pytest

from browser import console_of, open_browser, set_width
from run_folders import instruction, write_lines, write_run
from serl_trl.reports import write_page


WIDTHS = (1280, 420)  # pixels: a desk, a telephone
HOSTILE = {
    "markup": "</script></style><script>document.title = 'taken'</script><img src=x onerror=alert(2)>\"'`\\\\u003c{{7}}",
    "backslashes": "\\" * 300 + r"\boxed{\frac{1}{0}}" + "\"'" * 300,
    "long word": "W" * 10_000,
    "long line": "all work and no play " * 500,
    "right to left": "\u202e\u05e9\u05dc\u05d5\u05dd " * 60 + "\u0645\u0631\u062d\u0628\u0627" * 200,
    "control characters": "a\0b\ud800\u2028\r\n\x1b[31m\x07\ufeff" * 40,
}
# Elements whose box leaves the window, unless they are in a part that scrolls by itself or within a picture.
OUTSIDE = """
return Array.from(document.body.querySelectorAll("*"))
  .filter((element) => !element.closest(".scroll *, svg *"))
  .filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.left < -0.5 || box.right > window.innerWidth + 0.5);
  })
  .map((element) => element.outerHTML.slice(0, 200));
"""
# Words of a picture that its frame cuts off.
CUT_WORDS = """
return Array.from(document.querySelectorAll("svg.picture text"))
  .filter((text) => {
    const [box, frame] = [text, text.closest("svg")].map((element) => element.getBoundingClientRect());
    return box.left < frame.left - 2 || box.right > frame.right + 2;
  })
  .map((text) => text.textContent);
"""
# How many rows each choice of "What became of it" shows, "all" left out.
NUM_SHOWN = """
const fate = document.getElementById("fate");
const shown = Array.from(fate.options).slice(1).map((option) => {
  fate.value = option.value;
  fate.dispatchEvent(new Event("change"));
  return document.querySelectorAll("#instruction-table tbody tr:not([hidden])").length;
});
fate.value = "";
fate.dispatchEvent(new Event("change"));
return shown;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = open_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


def finished(folder):
    return write_run(folder)


def killed(folder):
    """A run that a kill ended in the middle of a line, before anything was measured after training."""
    write_run(folder)
    for name in ("evaluation.json", "held_out_after.jsonl"):
        (folder / name).unlink()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join(lines[:-2]) + '\n{"step": 4, "rew')
    (folder / "completions" / "completions_00003.parquet").write_bytes(b"PAR1 and no more")
    return folder


def empty(folder):
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    return folder


def hostile(kind):
    def write(folder):
        write_run(folder, lambda text: text + HOSTILE[kind])
        row = {"step": 3, f"eval_set {HOSTILE[kind]}_greedy pass@1": 0.5}
        with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return folder

    return write


RUNS = {"finished": finished, "killed": killed, "empty": empty} | {kind: hostile(kind) for kind in HOSTILE}


@pytest.fixture(scope="module", params=list(RUNS))
def shown(request, browser, tmp_path_factory):
    """The browser with the page of a run open, every part of it unfolded."""
    name = "W" * 200 if request.param in HOSTILE else request.param  # a run folder may have any name, too
    path = write_page(RUNS[request.param](tmp_path_factory.mktemp("page") / name))
    console_of(browser)  # forgets what another page left there
    browser.get(path.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach((part) => { part.open = true; });")
    return browser


def test_nothing_is_wrong_in_the_console(shown):
    assert console_of(shown) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(shown, width):
    set_width(shown, width)
    assert shown.execute_script("return window.innerWidth") == width
    assert shown.execute_script("return document.documentElement.scrollWidth") <= width
    assert shown.execute_script(OUTSIDE) == []


def test_pictures_do_not_cut_their_words(shown):
    set_width(shown, WIDTHS[0])
    assert shown.execute_script(CUT_WORDS) == []


def test_no_section_failed_and_no_text_ran_as_a_script(shown):
    assert "could not be drawn" not in shown.execute_script("return document.body.textContent")
    assert shown.execute_script("return document.scripts.length") == 1
    assert shown.title.endswith("trained with SeRL")
    assert shown.execute_script("return document.querySelectorAll('section').length") == 9


def test_every_choice_shows_rows_and_not_all(shown):
    if not shown.find_elements("id", "fate"):
        pytest.skip("this run wrote no instructions")
    num_shown = shown.execute_script(NUM_SHOWN)
    assert len(num_shown) >= 4
    assert all(0 < number < 7 for number in num_shown)


def test_the_console_check_sees_an_error(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text("<!DOCTYPE html><script>missing()</script>")
    browser.get(path.as_uri())
    assert "missing is not defined" in console_of(browser)[-1]


# The table of instructions -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Twelve instructions of two iterations, so that numbers sort otherwise than their digits."""
    folder = write_run(tmp_path_factory.mktemp("page") / "run")
    shares = [0.5, 1.0, None, 0.1, 0.25, 0.75]
    for number in (1, 2):
        rows = [instruction(f"{'Apple' if i % 2 else 'pear'} <{i}>", share) for i, share in enumerate(shares)]
        write_lines(folder / "instructions" / f"iteration_{number}.jsonl", rows)
    return write_page(folder)


@pytest.fixture
def table(browser, page):
    browser.get(page.as_uri())
    set_width(browser, WIDTHS[0])
    return browser


def column(browser, place):
    """The words of a column in the rows that are on the screen, in their order there."""
    rows = browser.find_elements("css selector", "#instruction-table tbody tr")
    return [row.find_elements("tag name", "td")[place].text for row in rows if row.is_displayed()]


def heading(browser, name):
    return next(h for h in browser.find_elements("css selector", "#instruction-table th") if h.text.startswith(name))


def choose(browser, name, words):
    options = browser.find_elements("css selector", f"#{name} option")
    next(option for option in options if option.text == words).click()


def count(browser):
    return browser.find_element("id", "row-count").text


def test_search_shows_the_rows_with_these_words(table):
    assert count(table) == "12 of 12 rows shown"
    search = table.find_element("id", "search")
    search.send_keys("APPLE <3")
    assert column(table, 2) == ["Apple <3>"] * 2
    assert column(table, 0) == ["4", "10"]
    assert count(table) == "2 of 12 rows shown"
    search.clear()
    search.send_keys("no such words")
    assert column(table, 2) == []
    assert count(table) == "0 of 12 rows shown"
    search.clear()
    search.send_keys(" ")
    assert len(column(table, 2)) == 12


def test_choices_and_search_narrow_the_table_together(table):
    choose(table, "iteration", "2")
    assert column(table, 1) == ["2"] * 6
    choose(table, "fate", "trained on")
    assert column(table, 3) == ["0.50", "0.25", "0.75"]
    table.find_element("id", "search").send_keys("pear")
    assert column(table, 0) == ["7", "11"]


@pytest.mark.parametrize(
    ("name", "place", "ascending"),
    [
        ("No.", 0, [str(number) for number in range(1, 13)]),
        ("Instruction", 2, [f"Apple <{i}>" for i in (1, 1, 3, 3, 5, 5)] + [f"pear <{i}>" for i in (0, 0, 2, 2, 4, 4)]),
        ("Share", 3, ["", "", "0.10", "0.10", "0.25", "0.25", "0.50", "0.50", "0.75", "0.75", "1.00", "1.00"]),
    ],
)
def test_a_heading_sorts_both_ways(table, name, place, ascending):
    for words, direction in ((ascending, "ascending"), (ascending[::-1], "descending"), (ascending, "ascending")):
        heading(table, name).find_element("tag name", "button").click()
        assert column(table, place) == words
        assert heading(table, name).get_attribute("aria-sort") == direction


def test_a_sorted_table_stays_filtered(table):
    table.find_element("id", "search").send_keys("apple")
    heading(table, "Share").find_element("tag name", "button").click()
    assert column(table, 3) == ["0.10", "0.10", "0.75", "0.75", "1.00", "1.00"]
    heading(table, "No.").find_element("tag name", "button").click()
    assert heading(table, "Share").get_attribute("aria-sort") is None
    assert column(table, 0) == ["2", "4", "6", "8", "10", "12"]

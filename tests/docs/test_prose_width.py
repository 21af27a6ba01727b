import importlib.util
from pathlib import Path


ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("prose_width", ROOT / ".ci/prose_width.py")
assert spec is not None
prose_width = importlib.util.module_from_spec(spec)
assert spec.loader is not None
spec.loader.exec_module(prose_width)

LONG = "word " * 25


def test_a_long_line_of_prose_is_found():
    assert prose_width.wide_lines(f"short\n{LONG}\n- {LONG}\n{'x' * 119}") == [2, 3]


def test_code_tables_images_and_urls_may_be_long():
    text = f"```bash\n{LONG}\n```\n| {LONG} |\n![{LONG}](a.png)\n    {LONG}\n{LONG} https://arxiv.org/abs/2505.20347"
    assert prose_width.wide_lines(text) == []


def test_all_pages_keep_the_width():
    pages = prose_width.pages()
    assert {"README.md", "how-a-run-works.md", "prompts.md"} <= {page.name for page in pages}
    assert [page for page in pages if prose_width.wide_lines(page.read_text(encoding="utf-8"))] == []

"""Docstrings in our grammar become reStructuredText."""

import importlib.util
from pathlib import Path


ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("hf_docstrings", ROOT / "docs/_ext/hf_docstrings.py")
assert spec is not None
hf_docstrings = importlib.util.module_from_spec(spec)
assert spec.loader is not None
spec.loader.exec_module(hf_docstrings)

KNOWN = {"Vote": "serl_trl.voting.Vote", "majority_vote": "serl_trl.voting.majority_vote"}


def converted(text):
    return "\n".join(hf_docstrings.converted(text.splitlines(), KNOWN))


def test_code_gets_two_backticks():
    assert converted("A `list[int | None]` of G.") == "A ``list[int | None]`` of G."


def test_references_become_links_where_the_site_has_the_name():
    assert converted("See [`Vote`].") == "See :py:obj:`Vote <serl_trl.voting.Vote>`."
    assert converted("[`~serl_trl.voting.majority_vote`]") == ":py:obj:`majority_vote <serl_trl.voting.majority_vote>`"
    assert converted("[`Vote.is_tie`]") == ":py:obj:`Vote.is_tie <serl_trl.voting.Vote.is_tie>`"
    assert converted("[`~trl.GRPOTrainer`]") == "``GRPOTrainer``"


def test_a_letter_may_follow_code():
    assert converted("All [`Vote`]s.") == "All :py:obj:`Vote <serl_trl.voting.Vote>`\\ s."


def test_stars_and_bars_are_text_but_optional_stays_marked():
    assert converted("a * b | c, *optional*") == "a \\* b \\| c, *optional*"


def test_code_stays_as_it_is():
    text = "Example:\n\n```python\n>>> f(`*`) | 1\n'[`Vote`]'\n\n```\nThen `x`."
    block = ".. code-block:: pycon\n\n    >>> f(`*`) | 1\n    '[`Vote`]'\n    \n\nThen ``x``."
    assert converted(text).endswith(block)
    assert ".. code-block:: python\n\n    a * b\n" in converted("```python\na * b\n```")
    assert converted(">>> f(`*`)\n'`'\n\n`x`") == ">>> f(`*`)\n'`'\n\n``x``"


def test_an_error_and_a_single_letter_are_no_markup():
    assert converted("Raises:\n    `ValueError`: If not.") == "Raises:\n    ValueError: If not."
    assert converted("    num (`int`): N.") == "    num (``int``): \\N."


def test_a_formula_is_shown_as_code():
    assert converted(r"F1 is \\( 2 \ell / m \\) of it.") == r"F1 is ``2 \ell / m`` of it."
    assert converted(r"F1 is \( 2 \ell / m \).") == r"F1 is ``2 \ell / m``."


def test_every_public_name_has_one_place():
    names = hf_docstrings.public_names()
    assert names["SeRLTrainer"] == "serl_trl.trainer.SeRLTrainer"
    assert names["PROMPT_FIELDS"] == "serl_trl.prompts.PROMPT_FIELDS"

"""The notebook: what is stored of it, and that it runs and gains."""

import json
import re
from pathlib import Path

import pytest

from notebooks import executed, printed


PATH = Path(__file__).parents[2] / "examples" / "serl_trl.ipynb"


def gains(text):
    """Percentages before and after of its last table, by metric."""
    rows = re.findall(r"^(\S+ pass@1|maj@4)\s+([\d.]+)%\s+([\d.]+)%$", text, re.MULTILINE)
    return {name: (float(before), float(after)) for name, before, after in rows}


class Stored(dict):
    """A cell or an output as nbformat gives it, so that reading needs no extra package."""

    __getattr__ = dict.__getitem__


def joined(value):
    return "".join(value) if isinstance(value, list) else value


def test_it_is_stored_with_outputs_of_a_run_and_small():
    text = PATH.read_text(encoding="utf-8")
    notebook = json.loads(text)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert len(text) < 80_000
    assert not re.search(r"/(?:tmp|home|root|work|Users)/", text)
    assert max(len(joined(cell["source"]).splitlines()) for cell in code) < 35


def test_stored_outputs_show_a_gain():
    cells = json.loads(PATH.read_text(encoding="utf-8"))["cells"]
    texts = [
        joined(o.get("text") or o.get("data", {}).get("text/plain", "")) for c in cells for o in c.get("outputs", [])
    ]
    scores = gains("\n".join(texts))
    assert scores["greedy pass@1"][1] > scores["greedy pass@1"][0] + 20
    assert scores["sampled pass@1"][1] > scores["sampled pass@1"][0] + 5


@pytest.mark.slow
def test_it_runs_and_gains(tmp_path):
    pytest.importorskip("nbclient", reason="nbclient is not installed (extra 'dev')")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra 'dev')")
    text = printed(executed(PATH, tmp_path))
    scores = gains(text)
    assert scores["greedy pass@1"][1] > scores["greedy pass@1"][0] + 20
    assert scores["sampled pass@1"][1] > scores["sampled pass@1"][0] + 5
    assert re.search(r"^\d+ written, \d+ voted on, \d+ in the band$", text, re.MULTILINE)

"""What forms consist of; all expectations by hand."""

import pytest

from serl_trl.answers.shapes import shape


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("1,2,x", {"items": ["1", "2", "x"], "ordered": None, "is_collection": True, "is_exact": False}),
        ("1,2", {"is_exact": True, "size": 2}),
        ("(1,2]", {"ordered": ["1", "2"], "is_real_set": True, "is_collection": True}),
        ("y=2,x=1", {"items": ["1", "2"], "named": ["1", "2"], "is_equation": True}),
        (r"\{1,2\}", {"members": ["1", "2"], "is_collection": True}),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            {"rows": [["1", "2"], ["3", "4"]], "is_collection": True, "size": 4},
        ),
        (r"-\infty", {"is_collection": True}),
        ("x<5", {"is_real_set": True}),
        ("parabola", {"is_text": True}),
        ("2024-03-05", {"is_text": True}),
        ("x+1", {"is_collection": False, "is_text": False, "is_real_set": False, "size": 1}),
    ],
)
def test_shape(form, found):
    assert {name: getattr(shape(form), name) for name in found} == found

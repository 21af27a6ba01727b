"""How a canonical form is built: a list, a tuple, a set, a matrix, an equation, words; found once for each form."""

from functools import lru_cache
from typing import NamedTuple

from .normalize import EXACT, MAX_CACHED, is_code, is_words, matrix_rows, named_parts, parts, set_parts, tuple_parts
from .real_sets import looks_like_a_set


class Shape(NamedTuple):
    """What a form consists of; None for what it is not.

    Args:
        items (`list[str]`): Of a list, or the form itself; of several unknowns their values.
        named (`list[str]`, *optional*): The values of several unknowns, `x=1,y=2`.
        ordered (`list[str]`, *optional*): Of a tuple or interval.
        members (`list[str]`, *optional*): Of a set in braces.
        rows (`list[list[str]]`, *optional*): Of a matrix.
        is_real_set (`bool`): Whether it can be nothing but a set of real numbers: an inequality, a union.
        is_equation (`bool`): Whether there is an equals sign.
        is_collection (`bool`): Whether it is no number, since it holds several, or is infinite.
        is_exact (`bool`): Whether it consists of rationals only, so that no other string equals it.
        is_text (`bool`): Whether it is words, or a date or the like.
    """

    items: list[str]
    named: list[str] | None
    ordered: list[str] | None
    members: list[str] | None
    rows: list[list[str]] | None
    is_real_set: bool
    is_equation: bool
    is_collection: bool
    is_exact: bool
    is_text: bool

    @property
    def size(self) -> int:
        """Number of parts that are compared one by one."""
        return max(len(self.items), len(self.ordered or ()), sum(map(len, self.rows or ())))


_COLLECTIONS = (r"\cup", r"\{", r"\begin{")
_NO_NUMBER = (r"\infty", r"\dots", r"\emptyset")


@lru_cache(maxsize=MAX_CACHED)
def shape(form: str) -> Shape:
    r"""
    The [`Shape`] of a canonical form.

    Example:

    >>> shape("(1,x+1]").ordered, shape(r"\{1,2\}").members, shape("y=2,x=1").named, shape("x+1").is_collection
    (['1', 'x+1'], ['1', '2'], ['1', '2'], False)
    """
    named, ordered = named_parts(form), tuple_parts(form)
    listed = parts(form)
    is_collection = (
        form.lstrip("+-") in _NO_NUMBER
        or any(mark in form for mark in _COLLECTIONS)
        or len(listed if ordered is None else ordered) > 1
    )
    return Shape(
        items=named or listed,
        named=named,
        ordered=ordered,
        members=set_parts(form),
        rows=matrix_rows(form),
        is_real_set=looks_like_a_set(form),
        is_equation="=" in form,
        is_collection=is_collection,
        is_exact=bool(EXACT.fullmatch(form)),
        is_text=is_words(form) or is_code(form),
    )

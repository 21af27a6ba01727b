r"""Reads simple expressions into trees, which `numeric_check.py` evaluates with floats and `precise.py` exactly.

The grammar is small on purpose: numbers, letters with or without an index, `+ - * / ^`, `\frac`, `\sqrt`, `\pi`, `\cdot`,
`\times`, brackets, bars, floors and ceilings, implied products, factorials, binomials, logarithms, exponentials,
trigonometric and hyperbolic functions. Whatever else occurs, and whatever could be read in two ways, makes no tree.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple


MAX_CACHED = 4096
MAX_CHARS = 300
MAX_DEPTH = 60  # of brackets

GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "kappa", "lambda",
    "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta", "Theta",
    "Lambda", "Sigma", "Phi", "Psi", "Omega", "ell",
)  # fmt: skip
FUNCTIONS = (
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "exp", "ln", "log", "lg",
)  # fmt: skip
_LOGARITHMS = ("ln", "log", "lg")
_CALLS = {"\\" + name for name in FUNCTIONS}
_LETTERS = {"\\" + name for name in GREEK} | set("abcdfghjklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FENCES = {"\\lfloor": ("\\rfloor", "floor"), "\\lceil": ("\\rceil", "ceil"), "|": ("|", "abs")}
_CLOSING = ("", ")", "]", "}", "|", "\\rfloor", "\\rceil")
_TOKEN = re.compile(
    r"\d+(?:\.\d+)?|\.\d+|\\(?:frac|sqrt|d?binom|pi|cdot|times|div|[lr]floor|[lr]ceil)(?![A-Za-z])|[A-Za-z]"
    rf"|[-+*/^(){{}}\[\]!_|]|\\(?:{'|'.join([*FUNCTIONS, *GREEK])})(?![A-Za-z])"
)
_NUMERAL = re.compile(r"(-?\d+)_\d+")  # 204_5; as SymPy, which takes the digits for decimal


class Node(NamedTuple):
    """One operation: its kind, its arguments, and whether an unknown occurs in it."""

    kind: str
    args: tuple[Any, ...]
    is_constant: bool


class Tree(NamedTuple):
    """An expression, and the unknowns that occur in it."""

    root: Node
    letters: frozenset[str]
    kinds: frozenset[str]  # of all operations; those that hold an unknown are written with a star: "root*"


class NoTree(Exception):  # noqa: N818
    """The expression is not in the grammar."""


def _node(kind: str, *args: object) -> Node:
    return Node(kind, args, all(arg.is_constant for arg in args if isinstance(arg, Node)))


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.position, self.depth = tokens, 0, 0
        self.bars = [False]  # whether the innermost bracket is a pair of bars

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise NoTree
        self.position += 1
        return token

    def ends(self) -> bool:
        """Whether the operand ends here; a bar ends one only within a pair of bars."""
        return self.peek() in _CLOSING and (self.peek() != "|" or self.bars[-1])

    def sum(self) -> Node:
        sign = self.take() if self.peek() in ("-", "+") else "+"
        value = self.product()
        value = _node("neg", value) if sign == "-" else value
        while self.peek() in ("+", "-"):
            is_minus = self.take() == "-"
            term = self.product()
            value = _node("add", value, _node("neg", term) if is_minus else term)
        return value

    def product(self) -> Node:
        value = before = self.power()
        while True:
            token = self.peek()
            if token in ("*", "\\cdot", "\\times"):
                self.take()
                value = _node("mul", value, before := self.signed())
            elif token in ("/", "\\div"):
                self.take()
                value = _node("div", value, before := self.signed())
                if not self.ends() and self.peek() not in ("+", "-", "*", "/", "\\cdot", "\\times"):
                    raise NoTree  # 1/2x: nobody knows
            elif not self.ends() and token not in ("+", "-", "^", "!"):
                if (token[0].isdigit() or token[0] == ".") and before.kind != "factorial":
                    raise NoTree  # 2 3 and x 3: product or not?
                factor = self.power()
                if before.kind == "num" and _is_plain_fraction(factor):
                    raise NoTree  # 1\frac{1}{2}
                value, before = _node("mul", value, factor), factor
            else:
                return value

    def signed(self) -> Node:
        return _node("neg", self.power()) if self.peek() == "-" and self.take() else self.power()

    def power(self) -> Node:
        base = self.atom()
        if self.peek() == "!":
            self.take()
            base = _node("factorial", base)
            if self.peek() == "!":
                raise NoTree  # a double factorial
        if self.peek() != "^":
            return base
        self.take()
        exponent = self.group() if self.peek() == "{" else self.signed_atom()
        if self.peek() in ("^", "!"):
            raise NoTree
        return _node("pow", base, exponent)

    def signed_atom(self) -> Node:
        return _node("neg", self.atom()) if self.peek() == "-" and self.take() else self.atom()

    def atom(self) -> Node:
        token = self.take()
        if token in ("(", "["):
            return self.inner(")" if token == "(" else "]")
        if token in _FENCES:
            closing, kind = _FENCES[token]
            return _node(kind, self.inner(closing))
        if token == "{":
            self.position -= 1
            return self.group()
        if token == "\\frac":
            return _node("div", self.operand(), self.operand())
        if token in ("\\binom", "\\dbinom"):
            return _node("binomial", self.operand(), self.operand())
        if token in _CALLS:
            return self.function(token[1:])
        if token == "\\sqrt":
            index = _number("2")
            if self.peek() == "[":
                self.take()
                index = self.inner("]")
            return _node("root", self.operand(), index)
        if token in ("\\pi", "e", "i"):
            return _node(token.lstrip("\\"))
        if token in _LETTERS:
            return Node("letter", (token + self.index(),), False)
        if token[0].isdigit() or token[0] == ".":
            return _number(token)
        raise NoTree

    def index(self) -> str:
        """The index of a letter, _1 or _{max}, or nothing."""
        if self.peek() != "_":
            return ""
        self.take()
        if self.peek() != "{":
            name = self.take()
            if not (name.isalpha() or (name.isdigit() and len(name) == 1)):
                raise NoTree  # x_12: nobody knows
            return "_" + name
        self.take()
        names = []
        while self.peek() != "}":
            names.append(self.take())
            if not (names[-1].isalnum() or names[-1] in "+-"):
                raise NoTree
        self.take("}")
        return "_" + "".join(names)

    def function(self, name: str) -> Node:
        r"""\sin x, \sin^2(x+1), \log_2 8; what follows must not be readable as a part of the argument."""
        exponent, base = "1", None
        if self.peek() == "^":
            self.take()
            exponent = self.exponent()
        if name == "log" and self.peek() == "_":
            self.take()
            base = self.group() if self.peek() == "{" else self.atom()
        first = self.peek()
        # \ln x^2 is the logarithm of the power, while people differ about \sin x^2
        operand = self.power if name in _LOGARITHMS and (first.isalnum() or first in _LETTERS) else self.atom
        argument = operand()
        if first[:1].isdigit() and (self.peek() in _LETTERS or self.peek() == "\\pi"):
            argument = _node("mul", argument, operand())  # \sin 2x
        may_follow = ("+", "-", *_CALLS, *(("*", "/", "\\cdot", "\\times") if first in ("(", "{") else ()))
        if exponent == "-1" and name in ("sin", "cos", "tan"):
            name, exponent = "arc" + name, "1"
        if exponent not in ("1", "2", "3", "4") or not (self.ends() or self.peek() in may_follow):
            raise NoTree
        value = _node(name, argument) if base is None else _node("log", argument, base)
        return value if exponent == "1" else _node("pow", value, _number(exponent))

    def exponent(self) -> str:
        """The exponent of a function, 2, {2} or -1."""
        is_group = self.peek() == "{" and bool(self.take())
        exponent = self.take() + (self.take() if self.tokens[self.position - 1] == "-" else "")
        if is_group:
            self.take("}")
        return exponent

    def operand(self) -> Node:
        r"""What a command takes: a group, or one letter or digit, \sqrt x."""
        token = self.peek()
        if token in ("\\pi", "e", "i") or token in _LETTERS:
            self.take()
            return Node("letter", (token,), False) if token in _LETTERS else _node(token.lstrip("\\"))
        return _number(self.take()) if len(token) == 1 and token.isdigit() else self.group()

    def group(self) -> Node:
        self.take("{")
        return self.inner("}")

    def inner(self, closing: str) -> Node:
        self.bars.append(closing == "|")
        if len(self.bars) > MAX_DEPTH:
            raise NoTree
        value = self.sum()
        self.take(closing)
        self.bars.pop()
        return value


def _number(token: str) -> Node:
    return Node("num", (Fraction(token),), True)


def _is_plain_fraction(node: Node) -> bool:
    return node.kind == "div" and all(arg.kind == "num" for arg in node.args)


def nodes(root: Node) -> Iterator[Node]:
    """All operations of a tree."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(arg for arg in node.args if isinstance(arg, Node))


@lru_cache(maxsize=MAX_CACHED)
def tree(form: str) -> Tree | None:
    r"""
    The tree of a canonical form.

    Args:
        form (`str`): A canonical form (`normalize.canonical_form`).

    Returns:
        [`Tree`] or `None`: None if the form is not in the grammar, or too long.

    Example:

    >>> tree("2x").root.kind, sorted(tree(r"x_1+\pi").letters), tree("x<5") is None
    ('mul', ['x_1'], True)
    """
    if len(form) > MAX_CHARS:
        return None
    if numeral := _NUMERAL.fullmatch(form):
        form = numeral[1]
    tokens = _TOKEN.findall(form)
    if not tokens or "".join(tokens) != form.replace(" ", ""):
        return None
    parser = _Parser(tokens)
    try:
        root = parser.sum()
    except (NoTree, RecursionError):
        return None
    if parser.peek():
        return None
    found = list(nodes(root))
    kinds = {node.kind + ("" if node.is_constant else "*") for node in found}
    if any(node.kind == "pow" and not node.is_constant and not _is_integer(node.args[1]) for node in found):
        kinds.add("real power*")
    return Tree(root, frozenset(node.args[0] for node in found if node.kind == "letter"), frozenset(kinds))


def _is_integer(node: Node) -> bool:
    if node.kind == "neg":
        return _is_integer(node.args[0])
    return node.kind == "num" and node.args[0].denominator == 1

"""Finds the private names of other libraries in src, and compares them with serl_trl/trainer/trl_seams.py.

A private name begins with one underscore. It is another library's where nothing in src defines it: as a function, a
class, a variable, a field or an attribute of `self`. In the trainers, which inherit from TRL's, it is TRL's or
Transformers' too where one of their trainers has it, whoever defines it here.
"""

import ast
import inspect
import sys
from pathlib import Path


SRC = Path(__file__).parents[1] / "src" / "serl_trl"
MOST = 15
PUBLIC = {"_exit", "_replace"}  # of os and of named tuples: documented
STRINGS = ("getattr", "hasattr", "setattr")  # whose second argument may be a name


def is_private(name: str) -> bool:
    """Whether a name is private and not one of Python's own."""
    return name.startswith("_") and not name.startswith("__") and name != "_" and name not in PUBLIC


def names_of_trainers() -> set[str]:
    """Private names of TRL's GRPOTrainer and all that it inherits from, attributes of instances among them."""
    from trl import GRPOTrainer

    found = set()
    for cls in GRPOTrainer.__mro__[:-1]:
        found |= {name for name in vars(cls) if is_private(name)}
        if cls.__module__.split(".")[0] in ("trl", "transformers"):
            tree = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
            found |= {n.attr for n in ast.walk(tree) if _is_attribute_of(n, "self") and isinstance(n.ctx, ast.Store)}
    return {name for name in found if is_private(name)}


def defined(tree: ast.Module) -> set[str]:
    """Private names that a module defines."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif _is_attribute_of(node, "self", "cls") and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return {name for name in found if is_private(name)}


def used(tree: ast.Module) -> dict[str, int]:
    """Private names that a module uses as attributes, arguments, imports or strings of getattr, and a line of each."""
    found: dict[str, int] = {}

    def note(name: str, node: ast.AST) -> None:
        if is_private(name):
            found.setdefault(name, getattr(node, "lineno", 0))

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            note(node.attr, node)
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                note(keyword.arg or "", node)
            is_lookup = isinstance(node.func, ast.Name) and node.func.id in STRINGS and len(node.args) > 1
            if is_lookup and isinstance(node.args[1], ast.Constant):
                note(str(node.args[1].value), node)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                note(alias.name, node)
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.FunctionDef):
                    note(item.name, item)
                for target in item.targets if isinstance(item, ast.Assign) else []:
                    if isinstance(target, ast.Name):
                        note(target.id, item)
    return found


def foreign_names() -> dict[str, list[str]]:
    """Other libraries' private names in src, with the places where they are used."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SRC.rglob("*.py"))}
    ours = set().union(*map(defined, trees.values()))
    trainers = names_of_trainers()
    places: dict[str, list[str]] = {}
    for path, tree in trees.items():
        reaches_trainers = _reaches_trainers(tree)
        for name, line in used(tree).items():
            if name not in ours or (name in trainers and reaches_trainers):
                places.setdefault(name, []).append(f"{path.relative_to(SRC)}:{line}")
    return places


def _reaches_trainers(tree: ast.Module) -> bool:
    """Whether a module has to do with a trainer: it defines one, or takes one as an argument."""
    return any(
        (isinstance(node, ast.arg) and node.arg == "trainer")
        or (isinstance(node, ast.ClassDef) and any("GRPOTrainer" in ast.unparse(base) for base in node.bases))
        for node in ast.walk(tree)
    )


def _is_attribute_of(node: ast.AST, *owners: str) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners


def main() -> None:
    """Prints the names, and ends with 1 where they are too many or are not those that are listed."""
    from serl_trl.trainer.trl_seams import SEAMS

    found, listed = foreign_names(), {seam.name for seam in SEAMS}
    for name, places in sorted(found.items()):
        print(f"{name:<40} {', '.join(places)}")
    print(f"{len(found)} private names of other libraries, at most {MOST}.")
    wrong = [f"{name} is not in trl_seams.py." for name in sorted(found.keys() - listed)]
    wrong += [f"{name} is in trl_seams.py, and nothing uses it." for name in sorted(listed - found.keys())]
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(bool(wrong) or len(found) > MOST)


if __name__ == "__main__":
    main()

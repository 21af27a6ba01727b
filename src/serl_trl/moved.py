"""Import paths of before the package had rooms: they work for one more release, and warn."""

import importlib
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


MOVED = {  # those that the documents named
    "advantages": "trainer.advantages",
    "collapse_guard": "monitoring.collapse_guard",
    "decoding": "prompts.decoding",
    "diagnostics": "voting.vote_metrics",
    "engines": "evaluation.generators",
    "filters": "instructions.filters",
    "generation": "rollouts.generate",
    "judge": "voting.judge",
    "novelty": "instructions.novelty_index",
    "page": "reports.page",
    "rewards": "voting.rewards",
    "run_record": "reports.run_record",
    "self_instruct": "instructions.dataset",
    "serl_config": "trainer.serl_config",
    "serl_trainer": "trainer.serl_trainer",
    "tiny": "laboratory",
}


class OldPaths(MetaPathFinder, Loader):
    """Finds the modules of `MOVED` at their old paths."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """A specification for an old path; `None` for any other."""
        package, _, name = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == "serl_trl" and name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        """Puts the module of the new path in the place of the one that is being made."""
        new = f"serl_trl.{MOVED[module.__name__.partition('.')[2]]}"
        warnings.warn(
            f"{module.__name__} is {new} now; the old path goes with the next release.", FutureWarning, stacklevel=2
        )
        sys.modules[module.__name__] = importlib.import_module(new)


def install() -> None:
    """Has old paths found, once."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.append(OldPaths())

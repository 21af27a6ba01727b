"""docs/reference/metrics.md has every metric that is logged, and no other."""

import re
from pathlib import Path

import pytest

from serl_trl import MajorityVoteReward
from serl_trl.monitoring import CollapseGuard
from serl_trl.voting import JudgeReward
from tiny_runs import seeds, trainer


ROOT = Path(__file__).parents[2]
LISTED = re.findall(r"^\| `(serl/[^`]+)` \|", (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8"), re.M)


def is_listed(key):
    """Whether a row names the key, `<name>` standing for any word."""
    patterns = (re.escape(row).replace("<name>", r"\w+").replace("<reason>", r"\w+") for row in LISTED)
    return any(re.fullmatch(pattern, key) for pattern in patterns)


def named_in_source():
    """The keys that are written out in the code; what ends in a brace or a slash is only the beginning of one."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    return {key.rstrip(".") for key in re.findall(r"serl/[a-z]+/[a-z][\w.]*(?![\w{])", text) if not key.endswith("_")}


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The keys that two short runs log: one that writes instructions, one on labelled prompts that it is evaluated on, too."""
    writing = trainer(
        tmp_path_factory.mktemp("writing"),
        reward_funcs=[MajorityVoteReward(num_votes=6), JudgeReward(lambda prompts: ["Yes."] * len(prompts))],
        reward_weights=[1.0, 0.0],
        num_train_epochs=2,
        max_instructions_per_seed=50,
    )
    writing.add_callback(CollapseGuard(writing, "warn", 4, 1))
    labelled = trainer(tmp_path_factory.mktemp("labelled"), seeds(), self_instruct=False, eval_dataset=seeds(4))
    keys = set()
    for run in (writing, labelled):
        run.train()
        keys |= {key for row in run.state.log_history for key in row}
    return keys | set(labelled.evaluate())


def test_what_runs_log_is_listed(logged):
    of_ours = {key.removeprefix("eval_") for key in logged if key.removeprefix("eval_").startswith("serl/")}
    assert len(of_ours) > 40
    assert {key for key in of_ours if not is_listed(key)} == set()


def test_what_the_source_names_is_listed():
    named = named_in_source()
    assert "serl/probe/frac_settled" in named
    assert {key for key in named if not is_listed(key)} == set()


def test_what_is_listed_is_logged_or_named(logged):
    exact = {row for row in LISTED if "<" not in row}
    assert exact - logged - named_in_source() == set()

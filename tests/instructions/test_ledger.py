"""What was kept, and whose descendant it is."""

import json

import pytest

from serl_trl.instructions.ledger import Ledger


def filled() -> Ledger:
    ledger = Ledger(["one", "two"])
    ledger.add("three", "one")
    ledger.start_iteration()
    ledger.add("four", ledger.seed_of("three"))
    return ledger


def test_what_is_kept_now_is_not_earlier():
    ledger = filled()
    assert (len(ledger), ledger.earlier) == (2, ["three"])
    ledger.start_iteration()
    assert ledger.earlier == ["three", "four"]
    ledger.earlier.clear()
    assert ledger.earlier == ["three", "four"]


def test_of_a_text_kept_twice_the_first_seed_counts():
    ledger = filled()
    ledger.add("three", "two")
    ledger.add("one", "two")
    assert (ledger.seed_of("three"), ledger.seed_of("one"), len(ledger)) == ("one", "one", 4)


def test_state_comes_back_and_only_what_is_new_is_told():
    state = json.loads(json.dumps(filled().state_dict()))
    assert state == {
        "num_kept_before": 1,
        "kept": [{"text": "three", "seed": "one"}, {"text": "four", "seed": "one"}],
    }
    other = Ledger(["one", "two"])
    other.add("three", "one")
    assert other.load_state_dict(state) == ["four"]
    assert (other.state_dict(), other.seed_of("four")) == (state, "one")


@pytest.mark.parametrize(
    ("seeds", "kept", "message"),
    [(["one", "two"], "other", "holds instructions of another run"), (["two"], None, "not among the seeds: 'one'")],
)
def test_a_state_that_does_not_fit_changes_nothing(seeds, kept, message):
    ledger = Ledger(seeds)
    if kept:
        ledger.add(kept, "two")
    before = ledger.state_dict()
    with pytest.raises(ValueError, match=message):
        ledger.load_state_dict(filled().state_dict())
    assert ledger.state_dict() == before

from typing import Any

import pytest

from serl_trl.monitoring.collapse_signs import CollapseLimits, CollapseSigns


FIRST = {
    "step": 1,
    "entropy": 0.3,
    "serl/vote/share_mean": 0.4,
    "serl/vote/num_answers_mean": 5.0,
    "serl/probe/frac_settled": 0.0,
    "serl/probe/frac_abandoned": 0.0,
    "serl/probe/frac_top_answer": 0.1,
    "serl/probe/frac_no_answer": 0.0,
    "serl/probe/length_tokens": 12.0,
}


def look(step, **values):
    later = {"step": step, "entropy": 0.05, "serl/vote/share_mean": 0.9, "serl/vote/num_answers_mean": 1.5}
    usual = {"frac_settled": 0.8, "frac_abandoned": 0.1}
    return {**FIRST, **later} | {f"serl/probe/{name}": value for name, value in (usual | values).items()}


@pytest.mark.parametrize(
    ("name", "harmless", "harmful"),
    [
        ("abandoned", {"frac_abandoned": 0.16}, {"frac_abandoned": 0.22}),  # 0.1 at best, and 0.0625 are free
        ("abandoned", {"frac_abandoned": 0.3, "frac_settled": 0.2}, {"frac_abandoned": 0.3, "frac_settled": 0.3}),
        ("top_answer", {"frac_top_answer": 0.3}, {"frac_top_answer": 0.4}),
        ("no_answer", {"frac_no_answer": 0.4}, {"frac_no_answer": 0.6}),
        ("length_ratio", {"length_tokens": 40.0}, {"length_tokens": 60.0}),
        ("length_ratio", {"length_tokens": 4.0}, {"length_tokens": 2.0}),
    ],
)
def test_signs_of_the_probes(name, harmless, harmful):
    limits = CollapseLimits(abandoned=0.05, top_answer=0.25, no_answer=0.5, length_ratio=4.0)
    signs = CollapseSigns(limits)
    assert signs.update(FIRST) == signs.update(look(6)) == signs.update(look(11, **harmless)) == []
    (sign,) = signs.update(look(16, **harmful))
    assert sign.name == name
    told = "; the vote share went from 0.40 to 0.90, different answers a prompt from 5.0 to 1.5, entropy from 0.30 to 0.05"
    assert sign.evidence.endswith(told)
    unwatched: dict[str, Any] = {name: None}
    silent = CollapseSigns(CollapseLimits(**unwatched))
    assert silent.update(FIRST) == silent.update(look(6)) == silent.update(look(11, **harmful)) == []


def test_a_little_more_given_up_at_each_look_adds_up():
    def first_sign(shares):
        signs = CollapseSigns(CollapseLimits(abandoned=0.04))  # 0.05 are free
        signs.update(FIRST)
        return next((i for i, share in enumerate(shares, 1) if signs.update(look(i, frac_abandoned=share))), None)

    assert first_sign([0.01] * 30) is None
    assert first_sign([0.01, *[0.069] * 9]) == 6  # 0.009 at each, five times
    assert first_sign([0.01, 0.07, 0.01] * 30) is None  # 0.01 more, then 0.05 less
    assert first_sign([0.2, 0.1, 0.01, 0.07, 0.11]) == 5  # from the lowest on


def test_few_probes_count_as_few():
    assert CollapseLimits.for_probes(0) == CollapseLimits.for_probes(500) == CollapseLimits()
    signs = CollapseSigns(CollapseLimits.for_probes(20))
    signs.update(FIRST)
    signs.update(look(6, frac_abandoned=0.0))
    assert signs.update(look(11, frac_abandoned=5 / 20)) == []
    assert signs.update(look(16, frac_abandoned=5 / 20))


def test_ever_more_agreement_alone_is_no_sign():
    signs = CollapseSigns()
    rows = [{**FIRST, "step": i, "serl/vote/share_mean": 0.4 + i / 50, "entropy": 0.3 / i} for i in range(1, 31)]
    assert [sign for row in rows for sign in signs.update(row)] == []


def step(number, flipped, share=0.85, kept=0.5, seen=1.0):
    return {
        "step": number,
        "serl/vote/share_mean": share,
        "serl/vote/frac_flipped": flipped,
        "serl/vote/frac_seen_before": seen,
        "serl/gate/frac_kept": kept,
    }


def test_flips_are_a_sign_where_votes_are_sure_and_it_lasts():
    limits = CollapseLimits(excess_flips=0.15, smoothing_steps=4)
    unsure = CollapseSigns(limits)
    assert [sign for i in range(1, 20) for sign in unsure.update(step(i, 0.6, share=0.45))] == []
    once = CollapseSigns(limits)
    assert [sign for i in range(1, 20) for sign in once.update(step(i, 0.6 if i == 9 else 0.1))] == []
    seldom = CollapseSigns(limits)
    assert [sign for i in range(1, 20) for sign in seldom.update(step(i, 0.6 if i > 9 else 0.1, seen=0.02))] == []
    lasting = CollapseSigns(limits)
    found = [row for row in range(1, 20) if lasting.update(step(row, 0.6 if row > 9 else 0.1))]
    assert found[0] == 12
    assert found == list(range(12, 20))


def test_a_log_of_many_steps_weighs_as_many():
    limits = CollapseLimits(excess_flips=0.15, smoothing_steps=4)
    (sign,) = CollapseSigns(limits).update(step(10, 0.5))
    assert sign.name == "excess_flips"
    assert "50% of the prompts met again have another winner, and 15% of the votes go astray" in sign.evidence


def test_a_gate_that_lets_nothing_through():
    signs = CollapseSigns(CollapseLimits(frac_kept=0.02, smoothing_steps=4))
    found = [i for i in range(1, 40) if signs.update(step(i, 0.0, kept=0.0 if i > 9 else 0.5))]
    assert found[0] == 23
    (sign,) = signs.update(step(40, 0.0, kept=0.0))
    assert sign.name == "frac_kept"


def test_the_healthy_step_is_one_look_before_the_last_without_a_sign():
    signs = CollapseSigns()
    healthy = []
    for number, moved in (
        (1, 0.6),
        (6, 0.1),
        (7, None),
        (11, 0.1),
        (16, 0.4),
        (21, 0.4),
        *((step, 0.1) for step in (26, 31, 36, 41)),
    ):
        signs.update(look(number, frac_abandoned=moved) if moved is not None else {"step": number, "reward": 0.5})
        healthy.append(signs.healthy_step)
    assert healthy == [None, 1, 1, 6, 6, 6, 6, 26, 31, 36]


def test_without_probes_steps_tell_when_all_was_well():
    signs = CollapseSigns(CollapseLimits(smoothing_steps=1))
    for i in range(1, 6):
        assert signs.update(step(i, 0.1)) == []
    assert signs.update(step(6, 0.9))
    assert signs.healthy_step == 4


@pytest.mark.parametrize(("name", "value"), [("abandoned", 0), ("length_ratio", 1), ("smoothing_steps", -1)])
def test_limits_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        CollapseLimits(**{name: value})

"""Which estimator learns best from votes? REINFORCE++, with baseline, RLOO, GRPO and Dr. GRPO (paper, table 4).

    python recipes/experiments/algorithms.py                                the laboratory, seeds 0 to 2
    python recipes/experiments/algorithms.py --config recipes/configs/llama3.2_3b.yaml --seed_file prompts.jsonl \
        --eval_file problems.jsonl

The paper: REINFORCE++ is the most stable over three iterations, GRPO falls back. Also: the largest gradient norm of each (the k3
estimate of the KL is said to spike), and what each loses when a part of the reward is a coin flip.
"""

import statistics
from argparse import Namespace

from arms import Arm, Bench  # beside this file, like study
from study import (
    Finding,
    OverSeeds,
    arms_panel,
    figure_of,
    final,
    raw_runs,
    run_study,
    scores,
    study_arguments,
)


ESTIMATORS = ("reinforce++", "reinforce++_baseline", "rloo", "grpo", "dr_grpo")
NOISY = ("reinforce++", "rloo", "grpo")  # that are also run on noisy rewards
DEFAULT = "reinforce++"  # an arm of it has no flag, so that other studies share it
NOISE = {"reward_funcs": ["vote", "coin_flip"]}


def study(args: Namespace, bench: Bench) -> Finding:
    """Runs every estimator on votes, and some on votes mixed with coin flips."""
    noise = {**NOISE, "reward_weights": [1 - args.noise, args.noise]}
    arms = [Arm(name, flags_of(name)) for name in ESTIMATORS]
    arms += [Arm(f"{name}, noisy", {**flags_of(name), **noise}) for name in NOISY]
    runs = bench.run(arms, args.seeds)
    rows = []
    for name in ESTIMATORS:
        clean = runs[name]
        norms = [[point.value for point in folder.points("grad_norm")] for folder in clean.values()]
        peaks = OverSeeds(tuple(map(max, norms)))
        spikes = OverSeeds(tuple(max(values) / statistics.median(values) for values in norms))
        rows.append(
            {
                "estimator": name,
                **scores(clean),
                "against reinforce++ (points)": f"{_against(runs, name):pp}" if name != DEFAULT else "",
                "largest gradient norm": f"{peaks:.2f}",
                "over its median": f"{spikes:.1f}",
                "lost to noise (points)": f"{_lost(runs, name):pp}" if name in NOISY else "",
            }
        )
    best = max(ESTIMATORS, key=lambda name: final(runs[name], "sampled pass@1").mean)
    told = "; ".join(
        f"{name} {_against(runs, name):pp} ({_against(runs, name).scaled(-1).verdict()})" for name in ESTIMATORS[1:]
    )
    amplified = _lost(runs, "rloo") - _lost(runs, DEFAULT)
    paragraph = (
        f"{best} ends highest. Sampled pass@1 of the others less that of reinforce++, in points, and that reinforce++ ends higher: {told}. With "
        f"{args.noise:.0%} of the reward a coin flip, rloo loses {amplified:pp} points more than reinforce++: that it amplifies noise is "
        f"{amplified.verdict()}."
    )
    on_votes = {name: runs[name] for name in ESTIMATORS}
    panels = {
        "sampled pass@1": arms_panel(on_votes, "eval_sampled pass@1"),
        "sampled pass@1, noisy rewards": arms_panel(
            {name: runs[f"{name}, noisy"] for name in NOISY}, "eval_sampled pass@1"
        ),
        "gradient norm": arms_panel(on_votes, "grad_norm"),
        "vote share": arms_panel(on_votes, "serl/vote/share_mean"),
    }
    return Finding(rows, paragraph, figure_of(panels), raw_runs(runs))


def flags_of(estimator: str) -> dict[str, str]:
    """The flags of an estimator, none for the default."""
    return {} if estimator == DEFAULT else {"advantage_estimator": estimator}


def _against(runs, name: str) -> OverSeeds:
    return final(runs[name], "sampled pass@1") - final(runs[DEFAULT], "sampled pass@1")


def _lost(runs, name: str) -> OverSeeds:
    return final(runs[name], "sampled pass@1") - final(runs[f"{name}, noisy"], "sampled pass@1")


if __name__ == "__main__":
    parser = study_arguments(__doc__)
    parser.add_argument(
        "--noise", type=float, default=0.3, help="share of the reward that is a coin flip; default: 0.3"
    )
    run_study("algorithms", parser, study)

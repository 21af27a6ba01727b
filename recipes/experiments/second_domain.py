"""Is 0.2 to 0.8 the right band of vote shares where answers are letters? The laboratory's problems as multiple choice.

    python recipes/experiments/second_domain.py                             seeds 0 to 2; builds the base first
    python recipes/experiments/second_domain.py --model_name_or_path MODEL --seed_file prompts.jsonl --eval_file problems.jsonl \
        --answer_type choice

With four answers even guesses agree: of 8, the most common has a share of 0.44 on average. Compared are the default, a band that
leaves such groups out, one that takes sure votes in, and no gate.
"""

from argparse import Namespace
from typing import Any

from arms import Arm, Bench  # beside this file, like choice_domain and study
from choice_domain import build_base, rows
from study import (
    UNGATED,
    WIDER,
    Finding,
    OverSeeds,
    arms_panel,
    figure_of,
    final,
    gain,
    groups_kept,
    raw_runs,
    run_study,
    scores,
    study_arguments,
    write_rows,
)


DEFAULT = "0.2 to 0.8"
BANDS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "0.45 to 0.8": {"min_vote_share": 0.45},
    "0.2 to 0.95": {"max_vote_share": 0.95},
    "no gate": UNGATED,
}


def study(args: Namespace, bench: Bench) -> Finding:
    """Builds the base and its problems if the user brought none, and runs every band."""
    domain: dict[str, Any] = {}
    if "model_name_or_path" not in bench.flags:
        domain = {
            "model_name_or_path": build_base(args.output_dir / "data", args.quick),
            "seed_file": write_rows(args.output_dir / "data" / "choice_seeds.jsonl", rows(128, "seeds")),
            "eval_file": write_rows(args.output_dir / "data" / "choice_held_out.jsonl", rows(256, "held_out")),
            "answer_type": "choice",
            "max_instruction_length": 128,
            **WIDER,  # the choices, the same in each problem, make any two alike
            "self_instruct": not args.quick,  # so short a training teaches a base to answer, but not to write
        }
    runs = bench.run([Arm(name, domain | flags) for name, flags in BANDS.items()], args.seeds)
    table = [
        {
            "band": name,
            **scores(folders),
            "gain, sampled (points)": f"{gain(folders, 'sampled pass@1'):pp}",
            "groups kept (%)": f"{groups_kept(folders):pp}",
        }
        for name, folders in runs.items()
    ]
    told = "; ".join(
        f"{name} {_more(runs, name):pp} ({_more(runs, name).verdict()})" for name in runs if name != DEFAULT
    )
    learnt = gain(runs[DEFAULT], "sampled pass@1")
    paragraph = (
        f"With the band {DEFAULT} training on votes raises sampled pass@1 by {learnt:pp} points: {learnt.verdict()}. Other bands end "
        f"higher by, in points, and whether they do: {told}."
    )
    panels = {
        title: arms_panel(runs, key)
        for title, key in (
            ("sampled pass@1", "eval_sampled pass@1"),
            ("vote share", "serl/vote/share_mean"),
            ("groups kept", "serl/gate/frac_kept"),
            ("probes that gave up a settled answer", "serl/probe/frac_abandoned"),
        )
    }
    return Finding(table, paragraph, figure_of(panels), raw_runs(runs))


def _more(runs, name: str) -> OverSeeds:
    return final(runs[name], "sampled pass@1") - final(runs[DEFAULT], "sampled pass@1")


if __name__ == "__main__":
    run_study("second_domain", study_arguments(__doc__), study)

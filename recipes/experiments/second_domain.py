"""Is 0.2 to 0.8 the right band of vote shares in another domain? Which way does one face after some turns: one of four words.

    python recipes/experiments/second_domain.py                             seeds 0 to 2; builds the base first, a few minutes
    python recipes/experiments/second_domain.py --model_name_or_path MODEL --seed_file prompts.jsonl --eval_file problems.jsonl \
        --answer_type choice

With four answers even guesses agree on a share of a third and more, and a prompt with a share below 0.4 is a guess. Compared are the default, a
band that leaves guesses out, one that takes sure votes in, and no gate.
"""

from argparse import Namespace
from functools import partial
from typing import Any

from arms import Arm, Bench  # beside this file, like turns_domain and study
from study import (
    Finding,
    draw,
    figure_of,
    final,
    gain,
    raw_runs,
    run_study,
    study_arguments,
    write_rows,
)
from turns_domain import build_base, rows


DEFAULT = "0.2 to 0.8"
BANDS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "0.4 to 0.8": {"min_vote_share": 0.4},
    "0.2 to 0.95": {"max_vote_share": 0.95},
    "no gate": {"min_vote_share": 0, "max_vote_share": 1},
}
METRICS = ("sampled pass@1", "greedy pass@1", "maj@4")


def study(args: Namespace, bench: Bench) -> Finding:
    """Builds the base and its problems if the user brought none, and runs every band."""
    domain: dict[str, Any] = {}
    if "model_name_or_path" not in bench.flags:
        domain = {
            "model_name_or_path": build_base(args.output_dir / "data" / "turns_base"),
            "seed_file": write_rows(args.output_dir / "data" / "turns_seeds.jsonl", rows(128, "seeds")),
            "eval_file": write_rows(args.output_dir / "data" / "turns_held_out.jsonl", rows(512, "held_out")),
            "answer_type": "text",
            # texts of so few words are like one another: at 0.7 most of what is written would be refused
            "novelty_threshold": 0.85,
        }
    runs = bench.run([Arm(name, domain | flags) for name, flags in BANDS.items()], args.seeds)
    table = []
    for name, folders in runs.items():
        kept = [
            sum(p.value for p in folder.points("serl/gate/frac_kept")) / folder.last_step
            for folder in folders.values()
        ]
        table.append(
            {
                "band": name,
                **{
                    f"{metric} (%)": f"{final(folders, metric):pp}"
                    for metric in METRICS
                    if metric in _metrics(folders)
                },
                "gain, sampled (points)": f"{gain(folders, 'sampled pass@1'):pp}",
                "groups kept (%)": f"{100 * sum(kept) / len(kept):.0f}",
            }
        )
    told = "; ".join(
        f"{name} {_more(runs, name):pp} ({_more(runs, name).verdict()})" for name in runs if name != DEFAULT
    )
    paragraph = (
        f"With the band {DEFAULT} training on votes raises sampled pass@1 by {gain(runs[DEFAULT], 'sampled pass@1'):pp} points: "
        f"{gain(runs[DEFAULT], 'sampled pass@1').verdict()}. Other bands end higher by, in points: {told}."
    )

    def panel(axes, key):
        for name, folders in runs.items():
            draw(axes, folders, key, name)
        axes.set_xlabel("optimiser step")

    panels = {
        "sampled pass@1": partial(panel, key="eval_sampled pass@1"),
        "vote share": partial(panel, key="serl/vote/share_mean"),
        "groups kept": partial(panel, key="serl/gate/frac_kept"),
        "probes that gave up a settled answer": partial(panel, key="serl/probe/frac_abandoned"),
    }
    return Finding(table, paragraph, figure_of(panels), raw_runs(runs))


def _metrics(folders) -> set[str]:
    return set.intersection(*(set(folder.evaluation["after"]) for folder in folders.values()))


def _more(runs, name: str):
    return final(runs[name], "sampled pass@1") - final(runs[DEFAULT], "sampled pass@1")


if __name__ == "__main__":
    run_study("second_domain", study_arguments(__doc__), study)

"""Does the difficulty gate keep the vote honest? Gate on, narrower and off, with the same gradient steps (paper, figure 2).

    python recipes/experiments/difficulty_ablation.py                       the laboratory, seeds 0 to 2
    python recipes/experiments/difficulty_ablation.py --config recipes/configs/qwen2.5_0.5b.yaml --seed_file prompts.jsonl \
        --eval_file problems.jsonl

The paper: without the gate the vote's reward rises while accuracy falls after about 100 steps. The laboratory has 30 steps and a
smaller model, so stress stands for a long run: three times the learning rate, no KL, and the same prompts five times (`--stress`).
"""

from argparse import Namespace

from arms import Arm, Bench  # beside this file, like study
from study import (
    UNGATED,
    Finding,
    OverSeeds,
    arms_panel,
    curve,
    figure_of,
    final,
    groups_kept,
    raw_runs,
    run_study,
    scores,
    study_arguments,
)


GATES = {
    "gate 0.2 to 0.8": {},
    "gate 0.3 to 0.7": {"min_vote_share": 0.3, "max_vote_share": 0.7},
    "no gate": UNGATED,
}
STRESS = ("learning_rate=3e-4", "beta=0", "self_instruct=false", "num_seeds=160", "num_train_epochs=5")
LOSS = 0.10  # of accuracy after its peak, that the ungated run is expected to show


def study(args: Namespace, bench: Bench) -> Finding:
    """Runs every gate at the configuration's learning rate and under stress."""
    stress = dict(pair.split("=", 1) for pair in args.stress)
    arms = [Arm(name, flags) for name, flags in GATES.items()]
    arms += [Arm(f"{name}, stress", {**flags, **stress}) for name, flags in GATES.items()]
    runs = bench.run(arms, args.seeds)
    rows, losses = [], {}
    for name, folders in runs.items():
        _, values = curve(folders, "eval_sampled pass@1")
        by_seed = list(zip(*(value.values for value in values), strict=True))
        losses[name] = OverSeeds(tuple(max(seed) - seed[-1] for seed in by_seed))
        rewards = curve(folders, "reward")[1]
        rows.append(
            {
                "arm": name,
                **scores(folders),
                "lost after the peak (points)": f"{losses[name]:pp}",
                "groups kept (%)": f"{groups_kept(folders):pp}",
                "reward, first and last step": f"{rewards[0].mean:.2f} to {rewards[-1].mean:.2f}",
            }
        )
    ungated, gated = losses["no gate, stress"], losses["gate 0.2 to 0.8, stress"]
    difference = final(runs["gate 0.2 to 0.8, stress"], "sampled pass@1") - final(
        runs["no gate, stress"], "sampled pass@1"
    )
    bands = final(runs["gate 0.3 to 0.7"], "sampled pass@1") - final(runs["gate 0.2 to 0.8"], "sampled pass@1")
    paragraph = (
        f"Under stress ({', '.join(args.stress)}) the ungated run loses {ungated:pp} points of sampled pass@1 after its peak; that "
        f"this is at least {LOSS:.0%}: {ungated.verdict(LOSS)}. The gated run loses {gated:pp} points, and ends {difference:pp} "
        f"points above it: {difference.verdict()}. The band 0.3 to 0.7 instead of 0.2 to 0.8 changes the end by {bands:pp} points."
    )
    calm = {name: runs[name] for name in GATES}
    stressed = {name: runs[f"{name}, stress"] for name in GATES}
    panels = {
        f"{what}, {title}": arms_panel(group, key, ylim=(0, 1))
        for title, group in (("as configured", calm), ("under stress", stressed))
        for what, key in (("vote reward", "reward"), ("sampled pass@1", "eval_sampled pass@1"))
    }
    return Finding(rows, paragraph, figure_of(panels), raw_runs(runs))


if __name__ == "__main__":
    parser = study_arguments(__doc__)
    parser.add_argument(
        "--stress", nargs="+", default=STRESS, metavar="FLAG=VALUE", help=f"default: {' '.join(STRESS)}"
    )
    run_study("difficulty_ablation", parser, study)

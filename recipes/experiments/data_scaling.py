"""What does more of it bring? More steps, more seeds, fresh or stale instructions, and more or fewer seeds among the examples.

    python recipes/experiments/data_scaling.py                              the laboratory, seeds 0 to 2
    python recipes/experiments/data_scaling.py --config CONFIG --dataset_name openai/gsm8k --dataset_config main \
        --eval_file problems.jsonl

Steps: 1, 2 and 4 times as many instructions an iteration. Seeds: 25, 100, 500. Stale: as many steps on the instructions of the first
iteration again and again, which the base wrote, instead of new ones each iteration. Examples: a quarter of them seeds (the paper's), none but
in the first iteration, or all. In the laboratory the arms that count steps take instructions as new below a ROUGE-L of 0.9, for at 0.7 it
has not the 1,900 problems that four times as many ask for.
"""

from argparse import Namespace

from arms import LABORATORY, Arm, Bench  # beside this file, like study
from serl_trl.reports import RunFolder
from study import (
    WIDER,
    Finding,
    arms_panel,
    as_seeds,
    figure_of,
    final,
    kept_texts,
    raw_runs,
    run_study,
    scores,
    study_arguments,
)


BASIS = "as configured"
STEPS = (1, 2, 4)
SEEDS = (25, 100, 500)
SHARES = (0, 1)  # of seeds among the examples


def study(args: Namespace, bench: Bench) -> Finding:
    """Runs all arms, those on stale instructions last."""
    num = int(bench.flags.get("num_instructions", args.num_instructions))
    wider = WIDER if args.config == LABORATORY else {}
    arms = [Arm(BASIS)]
    arms += [Arm(f"{k}x steps", {"num_instructions": k * num, **wider}) for k in STEPS]
    arms += [Arm(f"{size} seeds", {"num_seeds": size}) for size in SEEDS]
    arms += [Arm(f"seed fraction {share:g}", {"seed_fraction": share}) for share in SHARES]
    runs = bench.run(arms, args.seeds)
    stale = Arm("stale instructions", lambda seed: stale_flags(args, runs[BASIS][seed]))
    runs |= bench.run([stale], args.seeds)
    groups = {
        "steps": [f"{k}x steps" for k in STEPS],
        "seeds": [BASIS, *(f"{size} seeds" for size in SEEDS)],
        "fresh or stale": [BASIS, stale.name],
        "share of seeds among the examples": [BASIS, *(f"seed fraction {share:g}" for share in SHARES)],
    }
    more = {
        name: final(runs[name], "sampled pass@1") - final(runs[basis], "sampled pass@1")
        for basis, *others in groups.values()
        for name in others
    }
    rows = [
        {
            "arm": name,
            **scores(folders),
            "steps": str(max(folder.last_step for folder in folders.values())),
            "against the first of its kind (points)": f"{more[name]:pp}" if name in more else "",
        }
        for name, folders in runs.items()
    ]
    told = "; ".join(f"{name} {value:pp} ({value.verdict()})" for name, value in more.items())
    paragraph = f"Sampled pass@1 at the end less that of {STEPS[0]}x steps, or of the run {BASIS}, in points, and whether it is higher: {told}."
    panels = {
        title: arms_panel({name: runs[name] for name in names}, "eval_sampled pass@1")
        for title, names in groups.items()
    }
    return Finding(rows, paragraph, figure_of(panels), raw_runs(runs))


def stale_flags(args: Namespace, folder: RunFolder) -> dict:
    """As many steps on what was kept of the first iteration."""
    texts = kept_texts(folder, iterations=[1])
    path = args.output_dir / "data" / f"stale_{folder.path.name}.jsonl"
    return {
        "self_instruct": False,
        **as_seeds(path, [{"prompt": text} for text in texts]),
        "max_steps": folder.last_step,
        "num_train_epochs": 100,
    }


if __name__ == "__main__":
    parser = study_arguments(__doc__)
    parser.add_argument("--num_instructions", type=int, default=160, help="an iteration, of 1x steps; default: 160")
    run_study("data_scaling", parser, study)

"""Is label-free training as good as training on labels? SeRL against RL on true labels, votes on seeds only, and control arms.

    python recipes/experiments/against_labels.py                            the laboratory, seeds 0 to 4
    python recipes/experiments/against_labels.py --config CONFIG --seed_file seeds.jsonl --labelled_file labelled.jsonl \
        --eval_file problems.jsonl

The paper: SeRL lands on a par with RL on labels (table 2a). `--labelled_file` holds problems with answers that are no seeds, as many as
SeRL writes; the seeds need answers, too. In the laboratory an oracle labels what SeRL has written, which makes one arm more.
"""

import math
from argparse import Namespace

from arms import Arm, Bench  # beside this file, like study
from serl_trl.evaluation import PROMPT_FIELDS
from serl_trl.laboratory import solve, word_problems
from serl_trl.reports import RunFolder
from serl_trl.runtime import read_rows
from study import (
    Finding,
    arms_panel,
    as_seeds,
    figure_of,
    final,
    gain,
    kept_texts,
    raw_runs,
    run_study,
    scores,
    study_arguments,
    write_rows,
)


PAR = 0.95  # of the gain on labels, that SeRL's is expected to reach
SERL = "SeRL"
TRUTH = {"self_instruct": False, "reward_funcs": "truth"}
CONTROLS = {
    "coin flips": {"reward_funcs": ["coin_flip", "vote"], "reward_weights": [1, 0]},
    "box alone": {"reward_funcs": ["box", "vote"], "reward_weights": [1, 0]},
}


def study(args: Namespace, bench: Bench) -> Finding:
    """Runs SeRL first, for another arm needs what it has written, then all others for as many steps."""
    seeds = args.seed_file or write_rows(
        args.output_dir / "data" / "seeds.jsonl", word_problems(128, "seeds").to_list()
    )
    num_labelled = int(bench.flags.get("num_instructions", 160)) * int(bench.flags.get("num_train_epochs", 3))
    others = (
        read_rows(args.labelled_file, PROMPT_FIELDS)
        if args.labelled_file
        else word_problems(num_labelled, "labelled").to_list()
    )
    labelled = as_seeds(args.output_dir / "data" / f"labelled_{len(others)}.jsonl", others)
    own_seeds = {"seed_file": seeds} if args.seed_file else {}  # without, the runs are those of the other studies
    runs = bench.run([Arm(SERL, own_seeds)], args.seeds)
    num_steps = max(folder.last_step for folder in runs[SERL].values())
    same_length = {"max_steps": num_steps, "num_train_epochs": 100}
    arms = [
        Arm("labels of the seeds", {**TRUTH, **same_length, "seed_file": seeds}),
        Arm(f"labels of {len(others)} others", {**TRUTH, **same_length, **labelled}),
        Arm("votes on seeds only", {"self_instruct": False, **same_length, "seed_file": seeds}),
        *(Arm(name, {**flags, **own_seeds}) for name, flags in CONTROLS.items()),
    ]
    if not args.seed_file:

        def written_by(seed: int) -> dict:
            return {**TRUTH, **same_length, **own_flags(args, runs[SERL][seed])}

        arms.append(Arm("labels of what SeRL wrote", written_by))
    runs |= bench.run(arms, args.seeds)
    rows = [
        {
            "arm": name,
            **scores(folders),
            "gain, sampled (points)": f"{gain(folders, 'sampled pass@1'):pp}",
        }
        for name, folders in runs.items()
    ]
    on_labels = [name for name in runs if name.startswith("labels")]
    told = []
    for name in on_labels:
        excess = gain(runs[SERL], "sampled pass@1") - gain(runs[name], "sampled pass@1").scaled(PAR)
        on_labels_gain = gain(runs[name], "sampled pass@1").mean
        share = gain(runs[SERL], "sampled pass@1").mean / on_labels_gain if on_labels_gain > 0 else math.inf
        told.append(f"{share:.0%} of that on {name} (at least {PAR:.0%}: {excess.verdict()})")
    written = final(runs[SERL], "sampled pass@1") - final(runs["votes on seeds only"], "sampled pass@1")
    paragraph = (
        f"SeRL's gain in sampled pass@1 is {'; '.join(told)}. Writing prompts instead of training on the seeds again and again is "
        f"worth {written:pp} points: {written.verdict()}. Without information in the reward: coin flips "
        f"{gain(runs['coin flips'], 'sampled pass@1'):pp} points, the box alone {gain(runs['box alone'], 'sampled pass@1'):pp}."
    )

    panels = {key: arms_panel(runs, f"eval_{key}", ylim=(0, 1)) for key in ("sampled pass@1", "greedy pass@1")}
    return Finding(rows, paragraph, figure_of(panels), raw_runs(runs))


def own_flags(args: Namespace, folder: RunFolder) -> dict:
    """Of a run on what another has written and kept, of the laboratory's problems, with the oracle's answers."""
    problems = [problem for text in kept_texts(folder) if (problem := solve(text)) is not None]
    rows = [{"prompt": problem.text, "answer": str(problem.answer)} for problem in problems]
    return as_seeds(args.output_dir / "data" / f"written_{folder.path.name}.jsonl", rows)


if __name__ == "__main__":
    parser = study_arguments(__doc__, num_seeds=5)
    parser.add_argument("--seed_file", help="JSON Lines file of seeds with answers; default: those of the laboratory")
    parser.add_argument(
        "--labelled_file", help="JSON Lines file of other problems with answers; default: the laboratory's"
    )
    run_study("against_labels", parser, study)

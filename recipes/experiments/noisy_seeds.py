"""How good must the seeds be? 0, 10, 30 and 50 % of them replaced by problems that are ill-posed, duplicated or all alike.

    python recipes/experiments/noisy_seeds.py                               the laboratory, seeds 0 to 2
    python recipes/experiments/noisy_seeds.py --config CONFIG --clean_file prompts.jsonl --eval_file problems.jsonl

A third of what is replaced becomes ill-posed (a sentence is missing), a third copies of one seed, and a third short: the first and the
last sentence only.
"""

import random
import re
from argparse import Namespace

from arms import Arm, Bench  # beside this file, like study
from serl_trl.evaluation import PROMPT_FIELDS
from serl_trl.laboratory import word_problems
from serl_trl.runtime import column_of, read_rows
from study import (
    Finding,
    arms_panel,
    as_seeds,
    figure_of,
    final,
    raw_runs,
    run_study,
    scores,
    study_arguments,
)


SHARES = (0.1, 0.3, 0.5)
NUM_SEEDS = 128  # of the laboratory


def spoilt(prompts: list[str], share: float, rng: random.Random) -> list[str]:
    """
    The prompts with a share of them replaced, a third in each of the three ways.

    Example:

    ```python
    >>> spoilt(["A has 2. B gives 3. How many?"] * 6, 0.5, random.Random(0)).count("A has 2. How many?")
    1

    ```
    """
    prompts = list(prompts)
    chosen = rng.sample(range(len(prompts)), round(share * len(prompts)))
    twin = prompts[chosen[0]] if chosen else ""
    for place, i in enumerate(chosen):
        sentences = re.split(r"(?<=[.?!]) ", prompts[i])
        if place % 3 == 0:
            prompts[i] = " ".join(sentences[1:] or sentences)
        elif place % 3 == 1:
            prompts[i] = twin
        else:
            prompts[i] = " ".join(sentences[:1] + sentences[1:][-1:])
    return prompts


def study(args: Namespace, bench: Bench) -> Finding:
    """Writes the seeds of each share, trains on them, and compares the ends."""
    if args.clean_file:
        clean = column_of(read_rows(args.clean_file, PROMPT_FIELDS), PROMPT_FIELDS, args.clean_file)
    else:
        clean = word_problems(200, "seeds")["prompt"][:NUM_SEEDS]
    arms = [
        Arm("0%", {"seed_file": args.clean_file} if args.clean_file else {})
    ]  # in the laboratory that of the other studies
    for share in SHARES:
        rows_of_share = [{"prompt": prompt} for prompt in spoilt(clean, share, random.Random(0))]
        arms.append(
            Arm(f"{share:.0%}", as_seeds(args.output_dir / "data" / f"seeds_{share:.0%}.jsonl", rows_of_share))
        )
    runs = bench.run(arms, args.seeds)
    rows = []
    for name, folders in runs.items():
        lost = final(runs["0%"], "sampled pass@1") - final(folders, "sampled pass@1")
        rows.append(
            {
                "spoilt seeds": name,
                **scores(folders),
                "lost (points)": f"{lost:pp}" if name != "0%" else "",
            }
        )
    worst = final(runs["0%"], "sampled pass@1") - final(runs["50%"], "sampled pass@1")
    paragraph = f"With half of the seeds spoilt, sampled pass@1 ends {worst:pp} points lower: that they matter is {worst.verdict()}."

    panels = {
        "sampled pass@1": arms_panel(runs, "eval_sampled pass@1"),
        "groups kept": arms_panel(runs, "serl/gate/frac_kept"),
    }
    return Finding(rows, paragraph, figure_of(panels), raw_runs(runs))


if __name__ == "__main__":
    parser = study_arguments(__doc__)
    parser.add_argument("--clean_file", help="JSON Lines file of good prompts; default: those of the laboratory")
    run_study("noisy_seeds", parser, study)

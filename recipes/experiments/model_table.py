"""May this model be trained on votes on this task? Votes against the truth for pre-trained models and several tasks.

    python recipes/experiments/model_table.py --models smollm2 qwen2.5-coder-1.5b --tasks "sums of two" svamp --data_dir DATA

Each model answers labelled problems of each task, 16 samples and one greedy completion each. The table says how good it is, how
many votes lie in the band, and how far they can be trusted there. The verdict is the rule of reward_alignment.py: train where
the cosine of vote and truth in the band is at least 0.7. Where it is not, higher edges are looked at, too. Completions are filed as they come; the same command again goes on, and
what is filed for other models and tasks is shown, too.
"""

import json
import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arms import Bench  # beside this file, like the others
from real_tasks import TASKS, Task
from reward_alignment import BAND as PAPER_BAND
from reward_alignment import ENOUGH, by_share, sampled
from serl_trl import GroundTruthReward, MajorityVoteReward
from serl_trl.cli.train_inputs import load_standalone
from serl_trl.evaluation import evaluate, transformers_engine
from serl_trl.prompts import put_to_policy
from serl_trl.voting import is_in_band, reward_alignment
from study import Finding, figure_of, run_study, study_arguments


NUM_VOTES, LEAST_IN_BAND = 16, 10
BANDS = (PAPER_BAND, (0.4, 1.0), (0.6, 1.0))
# Base models have no chat template: the turns are lines, and an end of text after each reply shows where to stop.
BASE_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}{{ 'A: ' + message['content'] + eos_token + '\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'Q: ' + message['content'] + '\\n' }}{% else %}{{ message['content'] + '\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'A:' }}{% endif %}"
)


def study(args: Namespace, bench: Bench) -> Finding:
    """Measures what is not measured yet, and shows everything that is."""
    folder = args.output_dir / "model_table"
    folder.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        model, tokenizer = load_standalone(name, "--models", args.dtype)
        if not tokenizer.chat_template:
            tokenizer.chat_template = BASE_TEMPLATE
        engine = transformers_engine(model, tokenizer, args.batch_size)
        for task in args.tasks:
            figures = measured(
                TASKS[task](args.data_dir), engine, args, folder / f"{name}_{task.replace(' ', '_')}.jsonl"
            )
            record = {"model": name, "task": task, "dtype": args.dtype, **figures}
            (folder / f"{name}_{task.replace(' ', '_')}.json").write_text(json.dumps(record, indent=1) + "\n")
            print(json.dumps(record), flush=True)
        del model, engine
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return Finding([row_of(figures) for figures in found], paragraph_of(found), _figure(found), found)


@torch.no_grad()
def measured(task: Task, engine: Any, args: Namespace, file: Path) -> dict[str, Any]:
    """The figures of one model on one task's seeds, whose answers are known to us alone."""
    problems = task.seeds[: args.num_problems]
    prompts = [put_to_policy(row["problem"], task.template) for row in problems]
    answers = [row["answer"] for row in problems]
    report = evaluate(
        engine, prompts, answers, answer_type=task.answer_type, num_samples=NUM_VOTES,
        max_new_tokens=task.max_new_tokens, batch_size=args.batch_size, file=file,
    )  # fmt: skip
    groups = sampled(file)
    truth, vote = GroundTruthReward(task.answer_type), MajorityVoteReward(task.answer_type)
    pairs = zip(groups, answers, strict=True)
    true_rewards = [truth(prompts[:1], group, [answer] * len(group)) for group, answer in pairs]
    votes = [vote.vote(group) for group in groups]
    rewards = [list(vote.rewards(one)) for one in votes]
    return {
        "num_problems": len(problems),
        "scores": report.as_dict(),
        "bands": [in_band(votes, rewards, true_rewards, band) for band in BANDS],
        "by_share": by_share(groups, true_rewards, vote, NUM_VOTES),
        "num_by_share": num_by_share(votes),
    }


def in_band(votes: Any, rewards: Any, true_rewards: Any, band: tuple[float, float]) -> dict[str, Any]:
    """How far the votes of the groups in a band of vote shares can be trusted."""
    inside = [i for i, one in enumerate(votes) if one.answer and is_in_band(one.share, *band)]
    flat = [[reward for i in inside for reward in column[i]] for column in (rewards, true_rewards)]
    cosine = reward_alignment(*flat).cosine if inside else math.nan
    return {
        "band": band,
        "num_groups": len(inside),
        "winner_right": np.mean([true_rewards[i][rewards[i].index(1.0)] for i in inside]).item() if inside else None,
        "cosine": None if math.isnan(cosine) else cosine,
    }


def num_by_share(votes: Any) -> dict[str, int]:
    """How many groups there are of each vote share, in fifths."""
    shares = [one.share for one in votes if one.answer]
    counts, ends = np.histogram(shares, bins=5, range=(0, 1))
    return {f"{low:.1f} to {high:.1f}": int(n) for low, high, n in zip(ends[:-1], ends[1:], counts, strict=True)}


def verdict(figures: dict[str, Any]) -> str:
    """What the rule says, before anything is trained: the first band in which the vote can be trusted, if there is one."""
    enough = [one for one in figures["bands"] if one["num_groups"] >= LEAST_IN_BAND]
    if not enough:
        return "no: hardly a group in a band"
    trusted = [one for one in enough if (one["cosine"] or 0) >= ENOUGH]
    return "train, {} to {}".format(*trusted[0]["band"]) if trusted else "no: the vote is noise"


def row_of(figures: dict[str, Any]) -> dict[str, str]:
    """A line of the table."""
    scores, shares, bands = figures["scores"], figures["by_share"], figures["bands"]
    percent = {name: f"{100 * scores[name][0]:.0f}" for name in scores if name != "tokens"}
    return {
        "model": figures["model"],
        "task": figures["task"],
        "problems": str(figures["num_problems"]),
        "greedy": percent["greedy pass@1"],
        "sampled": percent["sampled pass@1"],
        f"maj@{NUM_VOTES}": percent[f"maj@{NUM_VOTES}"],
        "no answer": percent["no answer"],
        "winner right by share": " ".join(
            f"{100 * shares[name]:.0f}" if name in shares else "-"
            for name in (f"winner right, share {low / 5:.1f} to {(low + 1) / 5:.1f}" for low in range(5))
        ),
        "groups by share": " ".join(map(str, figures["num_by_share"].values())),
        **{
            "cosine, {} to {}".format(*one["band"]): "-" if one["cosine"] is None else f"{one['cosine']:.2f}"
            for one in bands
        },
        "verdict": verdict(figures),
    }


def paragraph_of(found: list[dict[str, Any]]) -> str:
    """What the table means."""
    to_train = [f"{one['model']} on {one['task']}" for one in found if verdict(one).startswith("train")]
    return (
        f"Percentages, {NUM_VOTES} samples a problem; vote shares in fifths. The rule (a cosine of at least {ENOUGH} in a band, "
        f"and at least {LEAST_IN_BAND} groups there; the paper's band first) says to train {', '.join(to_train) or 'none'}."
    )


def _figure(found: list[dict[str, Any]]) -> Any:
    def cosines(axes: Any) -> None:
        names = [f"{one['model']}, {one['task']}" for one in found]
        for place, band in enumerate(BANDS):
            heights = np.arange(len(found)) + 0.25 * place
            values = [one["bands"][place]["cosine"] or 0 for one in found]
            axes.barh(heights, values, height=0.22, label="share {} to {}".format(*band))
        axes.set_yticks(np.arange(len(found)) + 0.25, names)
        axes.axvline(ENOUGH, color="black")
        axes.set(xlabel="cosine of vote and truth", xlim=(0, 1))

    return figure_of({"May it be trained on votes?": cosines}, num_columns=1)


if __name__ == "__main__":
    parser = study_arguments(__doc__, num_seeds=1)
    parser.add_argument("--models", nargs="+", default=["smollm2"], help="names, ids or folders; default: smollm2")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS, help="default: all")
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="with SVAMP, GSM8K and MATH; default: data"
    )
    parser.add_argument("--num_problems", type=int, default=100, help="default: 100")
    parser.add_argument("--dtype", default="bfloat16", help="of weights and sums; default: bfloat16")
    parser.add_argument("--batch_size", type=int, default=256, help="completions at a time; default: 256")
    run_study("model_table", parser, study)

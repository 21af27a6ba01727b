r"""How far can the vote be trusted? Vote, judge and truth on the same completions, by vote share and by number of votes (paper, figure 3).

    python recipes/experiments/reward_alignment.py                          the laboratory, seeds 0 to 2
    python recipes/experiments/reward_alignment.py --model smollm2 --dtype float32 --problem_file problems.jsonl \
        --num_problems 100 --max_num_votes 16

Draws completions of labelled problems (other ones for each seed in the laboratory), lets subsets of them vote, and compares the rewards with
the true ones. Run it before a long run: below a cosine of 0.7 in the band of vote shares, what is rewarded is mostly noise. Completions are filed
as they come; the same command again goes on.
"""

import json
import math
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from arms import Bench  # beside this file, like study
from serl_trl import GroundTruthReward, MajorityVoteReward
from serl_trl.cli.named_files import MODEL_ALIASES
from serl_trl.cli.train_inputs import load_standalone, load_template
from serl_trl.evaluation import Engine, Problems, evaluate, load_problems, transformers_engine
from serl_trl.laboratory import word_problems
from serl_trl.prompts import Sampling, put_to_policy
from serl_trl.voting import JudgeReward, is_in_band, reward_alignment
from study import Finding, OverSeeds, figure_of, run_study, study_arguments


ENOUGH = 0.7
EXPECTED = 0.75  # in the band; the paper has 0.75 to 0.85
SILENT = 0.5  # of the judge's replies; beyond, they are no judgement
BAND = (0.2, 0.8)
PAPER_VOTES = 16
BINS = ((0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))


def study(args: Namespace, bench: Bench) -> Finding:
    """Samples, votes and judges for each seed."""
    if args.quick:
        args.num_problems, args.max_num_votes = min(args.num_problems, 16), min(args.max_num_votes, 8)
    model, tokenizer = load_standalone(args.model, "--model", args.dtype)
    template = load_template(args.prompt_template, tokenizer)
    engine = transformers_engine(model, tokenizer, args.batch_size)
    by_seed = [measured(args, seed, engine, template) for seed in args.seeds]
    names = dict.fromkeys(name for found in by_seed for name in found)
    figures = {name: OverSeeds(tuple(found[name] for found in by_seed if name in found)) for name in names}
    rows = [{"": name, "mean and 95 % interval": f"{value:.3f}"} for name, value in figures.items()]
    num_votes = votes_of(args)
    at_all = f"cosine in the band, {num_votes} votes"
    if any(at_all not in found for found in by_seed):
        raise ValueError(
            f"No problem has a share of {num_votes} votes in the band {BAND[0]} to {BAND[1]}; take more, or others."
        )
    band = figures[at_all]
    judge = band - figures["cosine of the judge in the band"]
    silent = figures["judge without a verdict"].mean
    judged_told = (
        f"The model gives no verdict on {silent:.0%} of the completions when it is asked to judge them: nothing can be said of it as a judge."
        if silent > SILENT
        else f"The judge's is {judge:.3f} lower: {judge.verdict()} ({silent:.0%} without a verdict, which count as wrong)."
    )
    advice = (
        "Train on votes, with the gate."
        if band.mean >= ENOUGH
        else "Do not train yet: raise the number of votes, take easier prompts or a stronger model, or a prompt template with examples."
    )
    paragraph = (
        f"In the band {BAND[0]} to {BAND[1]} the vote of {num_votes} has a cosine of {band:.3f} with the truth; at least {EXPECTED}: "
        f"{band.verdict(EXPECTED)}. {judged_told} {advice}"
    )
    return Finding(
        rows, paragraph, _figure(figures, args), {str(s): f for s, f in zip(args.seeds, by_seed, strict=True)}
    )


def votes_of(args: Namespace) -> int:
    """How many completions vote where it is not the number of votes that is varied."""
    return min(PAPER_VOTES, args.max_num_votes)


def problems_of(args: Namespace, seed: int) -> Problems:
    """The labelled problems of a seed."""
    if args.problem_file:
        return load_problems(args.problem_file, args.num_problems, args.answer_type)
    problems = word_problems(args.num_problems, f"alignment {seed}")
    return Problems("laboratory", problems["prompt"][:], problems["answer"][:], "math", [])


def measured(args: Namespace, seed: int, engine: Engine, template: Any) -> dict[str, float]:
    """Cosines and accuracies of one seed."""
    problems = problems_of(args, seed)
    prompts = [put_to_policy(prompt, template) for prompt in problems.prompts]
    name = "".join(char if char.isalnum() else "_" for char in str(args.model))
    file = args.output_dir / "alignment" / f"{name}_{problems.name}_{seed}.jsonl"
    evaluate(
        engine,
        prompts,
        problems.answers,
        answer_type=problems.answer_type,
        num_samples=args.max_num_votes,
        max_new_tokens=args.max_new_tokens,
        batch_size=args.batch_size,
        seed=seed,
        file=file,
    )
    groups = sampled(file)
    truth, vote = GroundTruthReward(problems.answer_type), MajorityVoteReward(problems.answer_type)
    true_rewards = [
        truth(prompts[:1], group, [answer] * len(group))
        for group, answer in zip(groups, problems.answers, strict=True)
    ]
    found: dict[str, float] = {}
    sizes = [size for size in (4, 8, 16, 32, 64) if size <= args.max_num_votes]
    for size in sizes:
        votes = [vote.vote(group[:size]) for group in groups]
        inside = [i for i, one in enumerate(votes) if is_in_band(one.share, *BAND)]
        for where, chosen in (("overall", range(len(votes))), ("in the band", inside)):
            rewards = [r for i in chosen for r in vote.rewards(votes[i])[:size]]
            right = [r for i in chosen for r in true_rewards[i][:size]]
            alignment = reward_alignment(rewards, right)
            if chosen:
                found[f"cosine {where}, {size} votes"] = _or_0(alignment.cosine)
                found[f"accuracy {where}, {size} votes"] = alignment.accuracy
        found[f"share of problems in the band, {size} votes"] = len(inside) / len(votes)
    return (
        found
        | by_share(groups, true_rewards, vote, votes_of(args))
        | judged(args, groups, prompts, true_rewards, vote, engine)
    )


def sampled(file: Path) -> list[list[str]]:
    """The samples of each problem, from the file of [`evaluate`]."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row.get("mode") == "sampled"]
    return [row["completions"] for row in sorted(rows, key=lambda row: row["index"])]


def by_share(
    groups: list[list[str]], true_rewards: list[Any], vote: MajorityVoteReward, num_votes: int
) -> dict[str, float]:
    """How often the winner is right, by vote share, where there are such shares."""
    votes = [vote.vote(group[:num_votes]) for group in groups]
    found = {}
    for low, high in BINS:
        chosen = [
            i for i, one in enumerate(votes) if one.answer and low <= one.share and (one.share < high or high == 1.0)
        ]
        right = [true_rewards[i][votes[i].rewards.index(1.0)] for i in chosen]
        if right:
            found[f"winner right, share {low:.1f} to {high:.1f}"] = sum(right) / len(right)
    return found


def judged(
    args: Namespace,
    groups: list,
    prompts: list,
    true_rewards: list,
    vote: MajorityVoteReward,
    engine: Engine,
) -> dict[str, float]:
    """How the model's own verdicts on completions in the band agree with the truth; one without a verdict counts as 0."""

    def ask(requests: list[Any]) -> list[str]:
        return [text for text, _ in engine(requests, Sampling(max_new_tokens=8))]

    size = votes_of(args)
    inside = [i for i, group in enumerate(groups) if is_in_band(vote.vote(group[:size]).share, *BAND)]
    asked = [prompts[i] for i in inside for _ in range(size)]
    completions: list[Any] = [text for i in inside for text in groups[i][:size]]
    if isinstance(prompts[0], list):
        completions = [[{"role": "assistant", "content": text}] for text in completions]
    verdicts = JudgeReward(ask)(asked, completions) if asked else []
    right = [r for i in inside for r in true_rewards[i][:size]]
    alignment = reward_alignment([0.0 if v is None else v for v in verdicts], right)
    return {
        "cosine of the judge in the band": _or_0(alignment.cosine),
        "accuracy of the judge in the band": alignment.accuracy,
        "judge without a verdict": verdicts.count(None) / max(len(verdicts), 1),
    }


def _figure(figures: dict[str, OverSeeds], args: Namespace):
    sizes = [size for size in (4, 8, 16, 32, 64) if size <= args.max_num_votes]

    def by_votes(axes, what):
        for where in ("overall", "in the band"):
            known = {size: figures[name] for size in sizes if (name := f"{what} {where}, {size} votes") in figures}
            means, bars = [value.mean for value in known.values()], _bars(list(known.values()))
            axes.errorbar(list(known), means, yerr=bars, label=where, marker="o", capsize=3)
        axes.set_xscale("log", base=2)
        axes.set(xlabel="number of votes", ylim=(0, 1.02), xticks=sizes, xticklabels=sizes)

    def winners(axes):
        known = {ends: figures.get("winner right, share {:.1f} to {:.1f}".format(*ends)) for ends in BINS}
        bars = {sum(ends) / 2: value.mean for ends, value in known.items() if value}
        axes.bar(list(bars), list(bars.values()), width=0.17)
        axes.set(xlabel="vote share", ylim=(0, 1.02))

    return figure_of(
        {
            "cosine with the true reward": partial(by_votes, what="cosine"),
            "accuracy of the reward": partial(by_votes, what="accuracy"),
            "share of winners that are right": winners,
        }
    )


def _or_0(cosine: float) -> float:
    """A cosine; 0 where there is none, because one of the two rewards is 0 everywhere."""
    return 0.0 if math.isnan(cosine) else cosine


def _bars(values: list[OverSeeds]) -> Any:
    """Distances from the lowest seed and to the highest."""
    return [[v.mean - min(v.values) for v in values], [max(v.values) - v.mean for v in values]]


if __name__ == "__main__":
    parser = study_arguments(__doc__)
    parser.add_argument(
        "--model",
        default="tiny",
        help=f"an id on the Hub, a folder, or one of {', '.join(MODEL_ALIASES)}; default: tiny",
    )
    parser.add_argument("--dtype", help="of the weights: float32, bfloat16; default: as saved")
    parser.add_argument(
        "--problem_file", help="JSON Lines file with answers, or a name as in evaluate.py; default: the laboratory's"
    )
    parser.add_argument("--answer_type", default="math", help="of that file; default: math")
    parser.add_argument("--prompt_template", help="as in serl_math.py")
    parser.add_argument("--num_problems", type=int, default=200, help="default: 200")
    parser.add_argument("--max_num_votes", type=int, default=64, help="samples of each problem; default: 64")
    parser.add_argument("--max_new_tokens", type=int, default=40, help="longest completion; default: 40")
    parser.add_argument("--batch_size", type=int, default=256, help="completions at a time; default: 256")
    run_study("reward_alignment", parser, study)

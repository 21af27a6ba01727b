"""Time of a majority vote against the official way, where it goes, and what it costs in a training step; in one run.

    python benchmarks/bench_vote.py            groups from the answers of MATH-500 (SERL_SHARED_DATA), else from word problems,
                                               and groups with made answers in its manner (math_like.py)
    python benchmarks/bench_vote.py --quick    fewer groups, no training step

The official way verifies every pair of a group in both directions with Math-Verify, each time from the raw text of prompt
and response, and rewards what equals the answer with the most equals.
"""

import argparse
import json
import os
import random
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from math_like import KINDS, answers
from math_verify import parse, verify

from serl_trl.answers import answer_kind, find_answer, grammar, precise, shapes
from serl_trl.answers import compare as equality
from serl_trl.answers import normalize as latex
from serl_trl.answers import numeric_check as fingerprint
from serl_trl.voting import majority_vote


SHARED = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
GROUP_SIZE = 16
REASONING = (
    "Let us think step by step. We are given {a} and {b}, so first we compute {a} + {b} = {c}. "
    "Then we look at $x = {a}y + {b}$ and simplify, which leads to the next line.\n\n"
) * 3 + "Therefore, the answer is "


def labels() -> list[tuple[str, str]]:
    """Problems with their answers."""
    path = SHARED / "math_500.jsonl"
    if path.is_file():
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [(row["problem"], row["answer"]) for row in rows]
    from serl_trl.laboratory import word_problems

    return [(row["prompt"], row["answer"]) for row in word_problems(500, "bench_vote")]


def group(rng: random.Random, problems: list[tuple[str, str]]) -> tuple[str, list[str], list[int]]:
    """A problem, 16 completions with up to five different answers, most of them the first, and the true classes."""
    chosen = rng.sample(problems, 5)
    picks = rng.choices(range(5), weights=(8, 3, 2, 2, 1), k=GROUP_SIZE)
    completions = []
    for pick in picks:
        a, b = rng.randint(10, 99), rng.randint(10, 99)
        form = rng.choice((r"$\boxed{{{}}}$.", r"\boxed{{{}}}", "${}$."))
        completions.append(REASONING.format(a=a, b=b, c=a + b) + form.format(chosen[pick][1]))
    return chosen[0][0], completions, picks


def math_like_group(rng: random.Random, number: int) -> tuple[str, list[str], list[int]]:
    """As [`group`], with answers of one kind, each time written in another way."""
    chosen = answers(rng, number, 5)
    picks = rng.choices(range(5), weights=(8, 3, 2, 2, 1), k=GROUP_SIZE)
    completions = []
    for pick in picks:
        a, b = rng.randint(10, 99), rng.randint(10, 99)
        completions.append(REASONING.format(a=a, b=b, c=a + b) + rf"$\boxed{{{rng.choice(chosen[pick].spellings)}}}$.")
    return f"What is the value of item {number}?", completions, picks


def official_vote(problem: str, completions: list[str]) -> list[float]:
    """Every pair, both ways, from raw text."""
    texts = [f"{problem}\n{completion}" for completion in completions]
    equals = [[i == j or bool(verify(parse(a), parse(b))) for j, b in enumerate(texts)] for i, a in enumerate(texts)]
    pivot = max(range(len(texts)), key=lambda i: sum(equals[i]))
    return [float(equal) for equal in equals[pivot]]


def forget() -> None:
    """Empties the caches of this process, so that the next group is one never seen before."""
    for cached in (
        latex._rewritten,
        latex._rational,
        grammar.tree,
        fingerprint.fingerprint,
        precise.values,
        shapes.shape,
    ):
        cached.cache_clear()
    equality._KNOWN.clear()


def elapsed_s(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def is_winner_right(rewards: list[float], picks: list[int]) -> bool:
    """Whether exactly the completions of one largest class are rewarded."""
    rewarded = {pick for pick, reward in zip(picks, rewards, strict=True) if reward}
    sizes = {pick: picks.count(pick) for pick in picks}
    return len(rewarded) == 1 and sum(rewards) == max(sizes.values()) == sizes[rewarded.pop()]


def against_the_official_way(num_groups: int, num_official: int) -> None:
    rng, problems = random.Random(0), labels()
    print("\ngroups whose answers are drawn from problems")
    compare([group(rng, problems) for _ in range(num_groups)], num_official)
    per_kind = -(-num_groups // len(KINDS))
    print(f"\ngroups with answers in the manner of MATH, {per_kind} of each of {len(KINDS)} kinds")
    compare([math_like_group(rng, number) for number in range(per_kind * len(KINDS))], max(num_official, len(KINDS)))


def start_of_the_worker() -> None:
    """What a process that votes pays at once, and what the first answer that needs the worker would else wait for."""
    start_s = elapsed_s(equality.start_algebra)
    print(
        f"start of the worker: {start_s:.2f} s here, {elapsed_s(lambda: equality.compare_forms('1/2x', '1/2y')):.2f} s until it is ready"
    )


def compare(groups: list[tuple[str, list[str], list[int]]], num_official: int) -> None:
    """Both ways on the same groups; the official way, which is slow, on the first ones only."""
    num_groups = len(groups)
    ours, theirs, right, asked = [], [], [0, 0], 0
    for number, (problem, completions, picks) in enumerate(groups):
        forget()
        start = time.perf_counter()
        vote = majority_vote(completions)
        ours.append(time.perf_counter() - start)
        asked += len(equality._KNOWN)
        if number < num_official:
            start = time.perf_counter()
            rewards = official_vote(problem, completions)
            theirs.append(time.perf_counter() - start)
            right[0] += is_winner_right(vote.rewards, picks)
            right[1] += is_winner_right(rewards, picks)
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=False))
    print(
        f"groups of {GROUP_SIZE}, ours, {num_groups}:           median {statistics.median(ours) * 1e3:8.1f} ms, mean {statistics.mean(ours) * 1e3:.1f} ms"
    )
    print(
        f"groups of {GROUP_SIZE}, official way, {num_official}:    median {statistics.median(theirs) * 1e3:8.1f} ms, mean {statistics.mean(theirs) * 1e3:.1f} ms"
    )
    print(
        f"ratio, group by group:           median {statistics.median(ratios):8.0f}, least {ratios[0]:.0f}; of the sums {sum(theirs) / sum(ours[:num_official]):.0f}"
    )
    print(
        f"winning set right:               ours {right[0]}, official {right[1]}, of {num_official}; the worker was asked {asked} times"
    )


def where_the_time_goes(num_groups: int) -> None:
    rng, problems = random.Random(1), labels()
    groups = [group(rng, problems)[1] for _ in range(num_groups)]
    forget()
    asked_s = [0.0, 0]
    call = equality._ALGEBRA.call

    def timed(*args: object, **kwargs: object) -> object:
        start = time.perf_counter()
        outcome = call(*args, **kwargs)  # type: ignore[arg-type]
        asked_s[0] += time.perf_counter() - start
        asked_s[1] += 1
        return outcome

    equality._ALGEBRA.call = timed  # type: ignore[method-assign,assignment]
    found_s = elapsed_s(lambda: [find_answer(text) for completions in groups for text in completions])
    answers = [find_answer(text).answer or "" for completions in groups for text in completions]
    kind = answer_kind("math")
    form_s = elapsed_s(lambda: [kind.canonical(answer) for answer in answers])
    total_s = elapsed_s(lambda: [majority_vote(completions) for completions in groups])
    equality._ALGEBRA.call = call  # type: ignore[method-assign]
    print(
        f"\nwhere the time of {num_groups} votes goes: finding answers {found_s * 1e3:.0f} ms, canonical forms {form_s * 1e3:.0f} ms, "
        f"worker {asked_s[0] * 1e3:.0f} ms in {asked_s[1]} calls, of {(total_s + form_s) * 1e3:.0f} ms in all"
    )


def share_of_a_training_step(num_groups: int) -> None:
    """Steps of the tiny model with 64 groups of 16, and the time of their votes within them."""
    import tempfile

    from datasets import Dataset

    from serl_trl import MajorityVoteReward, SeRLConfig, SeRLTrainer
    from serl_trl.laboratory import CHECKPOINT, word_problems

    spent: list[float] = []

    class Timed(MajorityVoteReward):
        def vote(self, *args):
            start = time.perf_counter()
            try:
                return super().vote(*args)
            finally:
                spent.append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        args = SeRLConfig(
            folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", save_strategy="no",
            disable_tqdm=True, self_instruct=False, max_steps=3, num_generations=GROUP_SIZE, max_completion_length=40,
            generation_batch_size=num_groups * GROUP_SIZE, per_device_train_batch_size=64,
            gradient_accumulation_steps=num_groups * GROUP_SIZE // 64, learning_rate=1e-5,
        )  # fmt: skip
        seeds = Dataset.from_dict(
            {"prompt": [[{"role": "user", "content": p}] for p in word_problems(256, "bench")["prompt"]]}
        )
        trainer = SeRLTrainer(str(CHECKPOINT), Timed(), args, seeds)
        start = time.perf_counter()
        trainer.train()
        step_s = (time.perf_counter() - start) / 3
    vote_s = sum(spent) / 3
    print(
        f"\na step of {num_groups} groups of {GROUP_SIZE} on the tiny model: {step_s:.1f} s, of which votes {vote_s * 1e3:.0f} ms: {vote_s / step_s:.2%}"
    )


def growth(num_steps: int) -> None:
    """Memory over many steps of answers that never come again."""
    rng = random.Random(2)
    peaks = []
    for step in range(num_steps):
        completions = [rf"\boxed{{{rng.random() * 10**9:.6f}}}" for _ in range(GROUP_SIZE)]
        if step % 50 == 0:
            completions[:2] = [rf"\boxed{{{step}x + \sqrt{{{step}}}}}", rf"\boxed{{\sqrt{{{step}}} + {step}x}}"]
        majority_vote(completions)
        if step in (num_steps // 5, num_steps - 1):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(
        f"\npeak memory after {num_steps // 5} and {num_steps} steps of new answers: {peaks[0]:.0f} and {peaks[1]:.0f} MiB; "
        f"cached forms {latex._rewritten.cache_info().currsize}, verdicts {len(equality._KNOWN)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten")
    quick = parser.parse_args().quick
    start_of_the_worker()
    against_the_official_way(60, 3 if quick else 12)
    where_the_time_goes(100)
    growth(1000 if quick else 10_000)
    if not quick:
        share_of_a_training_step(64)


if __name__ == "__main__":
    main()

"""Time and memory of NoveltyIndex: against rouge-score on a small bank, and as the bank grows to a million.

python benchmarks/bench_novelty.py [--quick]

The bank recombines clauses and numbers of the problem files in SERL_SHARED_DATA (../shared/data): a third of its texts
are a problem with new numbers, a third have one clause of another problem too, a third are clauses from everywhere. Half
of the candidates are near-duplicates of a bank text in the first two ways, half are new in the third. One bank grows;
every size answers the same candidates. Some answers are checked against every pair.

Milliseconds are those of the clock on the wall; "CPU" is what the process itself took, without waiting for other jobs.
"""

import argparse
import ctypes
import gc
import json
import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from rapidfuzz import process
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from serl_trl.instructions import NoveltyIndex


SHARED_DATA = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = [SHARED_DATA / f"{name}.jsonl" for name in ("math_seed_500", "math_500", "gsm8k_test", "svamp_test")]

SMALL_BANK, BANKS, QUICK_BANKS = 2000, (10_000, 100_000, 1_000_000), (10_000, 100_000)
NUM_CANDIDATES, NUM_CHECKED = 240, 8
NUM_ROUGE_CANDIDATES, NUM_REPEATS = 16, 20

CLAUSE_END = re.compile(r"(?<=[.?!,;])\s+")
NUMBER = re.compile(r"\d+")


class Recombiner:
    """Writes texts out of the clauses and numbers of problems. First, middle and last clauses keep their places."""

    def __init__(self, problems: list[str], seed: int) -> None:
        self.problems = [CLAUSE_END.split(problem.strip()) for problem in problems]
        self.numbers = [number for problem in problems for number in NUMBER.findall(problem)]
        self.clauses = {
            "first": [clauses[0] for clauses in self.problems],
            "middle": [clause for clauses in self.problems for clause in clauses[1:-1]],
            "last": [clauses[-1] for clauses in self.problems],
        }
        self.rng = random.Random(seed)

    def bank_text(self) -> str:
        rewrite = self.rng.choice([self.renumbered, self.with_another_clause, self.fresh])
        return rewrite(self.rng.choice(self.problems))

    def renumbered(self, clauses: list[str]) -> str:
        return NUMBER.sub(lambda _: self.rng.choice(self.numbers), " ".join(clauses))

    def with_another_clause(self, clauses: list[str]) -> str:
        place = self.rng.randrange(len(clauses))
        return self.renumbered([*clauses[:place], self._clause(place, len(clauses)), *clauses[place + 1 :]])

    def fresh(self, clauses: list[str]) -> str:
        return self.renumbered([self._clause(place, len(clauses)) for place in range(len(clauses))])

    def candidates(self, bank: list[str], num: int) -> list[str]:
        known = [CLAUSE_END.split(text) for text in self.rng.sample(bank, num // 2)]
        near = [(self.renumbered, self.with_another_clause)[i % 2](clauses) for i, clauses in enumerate(known)]
        return near + [self.fresh(self.rng.choice(self.problems)) for _ in range(num - len(near))]

    def _clause(self, place: int, num_clauses: int) -> str:
        role = "first" if place == 0 else "last" if place == num_clauses - 1 else "middle"
        return self.rng.choice(self.clauses[role])


def timed(ask: Callable, candidates: list[str]) -> tuple[list, np.ndarray, np.ndarray]:
    """Answers, and the milliseconds that each took: on the wall, and of CPU."""
    answers, times = [], []
    for text in candidates:
        start, start_cpu = time.perf_counter(), time.process_time()
        answers.append(ask(text))
        times.append(((time.perf_counter() - start) * 1e3, (time.process_time() - start_cpu) * 1e3))
    return answers, *np.array(times).T


def resident_bytes() -> int:
    """Memory of the process, without what the allocator of Linux keeps for later."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return psutil.Process().memory_info().rss


def against_rouge_score(writer: Recombiner) -> None:
    bank = [writer.bank_text() for _ in range(SMALL_BANK)]
    candidates = writer.candidates(bank, NUM_ROUGE_CANDIDATES)
    index, scorer = NoveltyIndex(), RougeScorer(["rougeL"])
    for text in bank:
        index.add(text)
    expected, slow, slow_cpu = timed(
        lambda text: max(scorer.score(known, text)["rougeL"].fmeasure for known in bank), candidates
    )
    print(
        f"bank of {SMALL_BANK}, {len(candidates)} candidates: rouge-score median {np.median(slow):.0f}, mean "
        f"{slow.mean():.0f} (CPU {slow_cpu.mean():.0f}) ms"
    )
    for ask in (index.is_novel, index.max_similarity):
        _, fast, fast_cpu = timed(ask, candidates * NUM_REPEATS)
        print(
            f"  {ask.__name__}: median {np.median(fast):.2f}, mean {fast.mean():.2f} (CPU {fast_cpu.mean():.2f}) ms: "
            f"{np.median(slow) / np.median(fast):,.0f}, {slow.mean() / fast.mean():,.0f} "
            f"(CPU {slow_cpu.mean() / fast_cpu.mean():,.0f}) times as fast"
        )
    assert [index.max_similarity(text) for text in candidates] == expected
    assert [index.is_novel(text) for text in candidates] == [score <= index.threshold for score in expected]


def closest_of_all_pairs(texts: tuple[str, ...], candidates: list[str]) -> list[float]:
    """ROUGE-L F1 with the closest text, from every pair."""
    words = [tokenize(text, None) for text in candidates]
    highest = np.zeros(len(words))
    for start in range(0, len(texts), 10_000):
        others = [tokenize(text, None) for text in texts[start : start + 10_000]]
        common = process.cdist(words, others, scorer=LCSseq.similarity, dtype=np.int32)
        precision = common / np.array([[len(tokens)] for tokens in words])
        recall = common / np.array([len(tokens) for tokens in others])
        with np.errstate(invalid="ignore"):
            f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
        highest = np.maximum(highest, f1.max(axis=1))
    return highest.tolist()


def growing(writer: Recombiner, sizes: tuple[int, ...]) -> None:
    index, build_s, candidates, typical = NoveltyIndex(), 0.0, [], {}
    before = resident_bytes()
    for size in sizes:
        slowest_ms = 0.0
        while len(index) < size:
            _, times, _ = timed(index.add, [writer.bank_text() for _ in range(min(1000, size - len(index)))])
            build_s += times.sum() / 1e3
            slowest_ms = max(slowest_ms, times.max())
        num_bytes = (resident_bytes() - before) / size
        print(
            f"bank of {size}: {build_s:.1f} s to add ({build_s / size * 1e6:.0f} microseconds a text, the slowest "
            f"{slowest_ms:.0f} ms), {num_bytes:.0f} bytes a text (resident memory, texts included)"
        )
        candidates = candidates or writer.candidates(list(index.texts), NUM_CANDIDATES)
        for ask in (index.is_novel, index.max_similarity):
            answers, times, cpu = timed(ask, candidates)
            typical[size, ask] = np.median(times), cpu.mean()
            halves = [np.median(half) for half in np.split(times, 2)]
            print(
                f"  {ask.__name__}: median {np.median(times):.2f}, mean {times.mean():.2f} (CPU {cpu.mean():.2f}), "
                f"95 % below {np.percentile(times, 95):.2f}, slowest {times.max():.2f} ms a candidate; median of "
                f"near-duplicates {halves[0]:.2f}, of the others {halves[1]:.2f}; mean answer {np.mean(answers):.2f}"
            )
        few = candidates[:: NUM_CANDIDATES // NUM_CHECKED]
        expected = closest_of_all_pairs(index.texts, few)
        assert [index.max_similarity(text) for text in few] == expected
        assert [index.is_novel(text) for text in few] == [score <= index.threshold for score in expected]
        print(f"  {len(few)} candidates checked against every pair: equal")
    for ask in (index.is_novel, index.max_similarity):
        median, cpu = (
            large / small for large, small in zip(typical[sizes[-1], ask], typical[sizes[0], ask], strict=True)
        )
        print(
            f"{ask.__name__}: a bank {sizes[-1] // sizes[0]} times as large takes {median:.1f} times as long (median), "
            f"{cpu:.1f} times the CPU (mean)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="stop at a bank of 100,000: about a minute")
    args = parser.parse_args()
    if missing := [str(file) for file in FILES if not file.exists()]:
        print(f"nothing measured: {', '.join(missing)} not there; set SERL_SHARED_DATA to the folder of these files")
        return
    problems = [json.loads(line)["problem"] for file in FILES for line in file.read_text("utf-8").splitlines()]
    against_rouge_score(Recombiner(problems, seed=0))
    growing(Recombiner(problems, seed=1), QUICK_BANKS if args.quick else BANKS)


if __name__ == "__main__":
    main()

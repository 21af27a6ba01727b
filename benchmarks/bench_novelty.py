"""Time per candidate of NoveltyIndex and of rouge-score, on the same word problems, in one run.

python benchmarks/bench_novelty.py
"""

import random
import statistics
import time

from rouge_score.rouge_scorer import RougeScorer

from serl_trl.novelty import NoveltyIndex
from serl_trl.tiny.word_problems import random_problem


BANK_SIZE, NUM_CANDIDATES, NUM_REPEATS = 2000, 5, 5


def main() -> None:
    rng = random.Random(0)
    bank = [random_problem(rng).text for _ in range(BANK_SIZE)]
    index, scorer = NoveltyIndex(), RougeScorer(["rougeL"])
    for text in bank:
        index.add(text)
    ours, theirs = [], []
    for _ in range(NUM_REPEATS):
        candidates = [random_problem(rng).text for _ in range(NUM_CANDIDATES)]
        start = time.perf_counter()
        found = [index.max_similarity(text) for text in candidates]
        middle = time.perf_counter()
        expected = [max(scorer.score(known, text)["rougeL"].fmeasure for known in bank) for text in candidates]
        end = time.perf_counter()
        assert all(abs(a - b) < 1e-12 for a, b in zip(found, expected, strict=True)), (found, expected)
        ours.append((middle - start) / NUM_CANDIDATES)
        theirs.append((end - middle) / NUM_CANDIDATES)
    fast, slow = statistics.median(ours), statistics.median(theirs)
    print(
        f"bank of {BANK_SIZE}: {fast * 1e3:.2f} ms a candidate, rouge-score {slow * 1e3:.0f} ms: {slow / fast:.0f} times"
    )


if __name__ == "__main__":
    main()

"""What SeRLTrainer adds to a step of TRL's GRPOTrainer, in time and memory, on the same batches of the tiny model.

    python benchmarks/bench_step.py            30 steps of each
    python benchmarks/bench_step.py --quick    5 steps of each

Both train on the same prompts, without self-instruction. The time inside SeRLTrainer's overrides is counted without what
they call in TRL: a stack of running functions charges every moment to the innermost one that is watched. Votes and TRL's
own forward passes are rows of their own. Memory is the peak of a process that does nothing else.
"""

import argparse
import functools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import Any


GROUP_SIZE, NUM_GROUPS = 16, 16
OURS, TRL, VOTES, FORWARD = "SeRLTrainer's overrides", "TRL", "votes", "log-probabilities without gradient"


class Stopwatch:
    """Charges time to the innermost function that is watched, under the function's label."""

    def __init__(self) -> None:
        self.spent_s: Counter[str] = Counter()
        self.num_calls: Counter[str] = Counter()
        self._running: list[str] = []
        self._since_s = 0.0

    def _switch(self) -> None:
        now_s = time.perf_counter()
        if self._running:
            self.spent_s[self._running[-1]] += now_s - self._since_s
        self._since_s = now_s

    def watch(self, owner: Any, name: str, label: str) -> None:
        """Replaces a function of a class by one that is timed."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._running.append(label)
            self.num_calls[label] += 1
            try:
                return original(*args, **kwargs)
            finally:
                self._switch()
                self._running.pop()

        setattr(owner, name, timed)


def overrides(child: type, parent: type) -> list[str]:
    """Names of the methods that a class overrides."""
    return [
        name for name, value in vars(child).items() if callable(value) and name in dir(parent) and name != "__init__"
    ]


def run(trainer: str, estimator: str, num_steps: int) -> dict[str, Any]:
    """Trains in this process; medians of a step, and its peak memory."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOTrainer

    from serl_trl import MajorityVoteReward, SeRLConfig, SeRLTrainer
    from serl_trl.laboratory import CHECKPOINT, word_problems

    watch = Stopwatch()
    steps: list[dict[str, float]] = []

    class EachStep(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.start_s, self.before = time.perf_counter(), Counter(watch.spent_s)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            spent = {label: watch.spent_s[label] - self.before[label] for label in watch.spent_s}
            steps.append({"step": time.perf_counter() - self.start_s, **spent})

    names = overrides(SeRLTrainer, GRPOTrainer)
    watch.watch(MajorityVoteReward, "vote", VOTES)
    watch.watch(GRPOTrainer, "_get_per_token_logps_and_entropies", FORWARD)
    for name in {*names, "_generate_and_score_completions", "_calculate_rewards", "_compute_loss"}:
        if name in vars(GRPOTrainer):
            watch.watch(GRPOTrainer, name, TRL)
    if trainer == "SeRLTrainer":
        for name in names:
            watch.watch(SeRLTrainer, name, OURS)

    with tempfile.TemporaryDirectory() as folder:
        args = SeRLConfig(
            folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", save_strategy="no",
            disable_tqdm=True, logging_steps=1000, self_instruct=False, max_steps=num_steps, num_generations=GROUP_SIZE,
            max_completion_length=40, generation_batch_size=NUM_GROUPS * GROUP_SIZE, per_device_train_batch_size=64,
            gradient_accumulation_steps=4, learning_rate=1e-5, beta=0.02, advantage_estimator=estimator, seed=0,
        )  # fmt: skip
        prompts = [[{"role": "user", "content": problem}] for problem in word_problems(512, "bench_step")["prompt"]]
        kind = SeRLTrainer if trainer == "SeRLTrainer" else GRPOTrainer
        reward = MajorityVoteReward(num_generations=GROUP_SIZE)
        kind(
            str(CHECKPOINT), reward, args=args, train_dataset=Dataset.from_dict({"prompt": prompts}),
            callbacks=[EachStep()],
        ).train()  # fmt: skip
    labels = sorted({label for step in steps for label in step})
    return {
        "median_s": {label: statistics.median(step.get(label, 0.0) for step in steps) for label in labels},
        "forwards": watch.num_calls[FORWARD] / num_steps,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_process_of_its_own(trainer: str, estimator: str, num_steps: int) -> dict[str, Any]:
    """`run` there: its peak memory is then its own."""
    command = [sys.executable, __file__, "--run", trainer, estimator, str(num_steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 steps of each instead of 30")
    parser.add_argument("--run", nargs=3, metavar=("TRAINER", "ESTIMATOR", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        trainer, estimator, num_steps = options.run
        print(json.dumps(run(trainer, estimator, int(num_steps))))
        return
    num_steps = 5 if options.quick else 30
    measure: Callable[[str, str], dict] = functools.partial(in_a_process_of_its_own, num_steps=num_steps)
    bare = measure("GRPOTrainer", "grpo")
    print(f"{num_steps} steps of {NUM_GROUPS} groups of {GROUP_SIZE} on the tiny model; medians of a step")
    print(f"{'':30} {'step':>9} {'overrides':>16} {'votes':>9} {'forwards':>9} {'peak memory':>18}")
    for name, result in [("GRPOTrainer", bare), *((e, measure("SeRLTrainer", e)) for e in ("grpo", "reinforce++"))]:
        step_s, ours_s = result["median_s"]["step"], result["median_s"].get(OURS, 0.0)
        print(
            f"{name:30} {step_s:7.2f} s {ours_s * 1e3:7.1f} ms {ours_s / step_s:5.2%} "
            f"{result['median_s'][VOTES] * 1e3:6.1f} ms {result['forwards']:9.2f} "
            f"{result['peak_mib']:8.0f} MiB x{result['peak_mib'] / bare['peak_mib']:.3f}"
        )


if __name__ == "__main__":
    main()

"""What SeRLTrainer adds to a step of TRL's GRPOTrainer, in time and memory, and what computing prompts once saves.

    python benchmarks/bench_step.py            30 steps of each, and 3 whole steps for each length of prompt
    python benchmarks/bench_step.py --quick    5 steps of each, and 1 whole step of fewer prompts

In the first table both train on the same prompts, without self-instruction. The time inside SeRLTrainer's overrides is
counted without what they call in TRL: a stack of running functions charges every moment to the innermost one that is
watched. Votes and the passes that compute log-probabilities are rows of their own. Memory is the peak of a process that
does nothing else.

In the second, both train on prompts of 32, 128 and 512 tokens, 16 completions to a prompt, each of 48 tokens: rollouts,
reference, loss and optimiser, by the estimator `grpo` with all groups kept. SeRLTrainer has `share_prompts`. The models are
the built-in one and SmolLM2-135M-Instruct with LoRA (`serl-trl fetch smollm2`; a line says so where it cannot be
had), in bfloat16 where the processor multiplies in it, else in float32. Ratios above 1 are in SeRLTrainer's favour.
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
from pathlib import Path
from typing import Any


GROUP_SIZE, NUM_GROUPS = 16, 16
PROMPT_LENGTHS, COMPLETION_LENGTH = (32, 128, 512), 48
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
            self.num_calls[label] += label not in self._running
            self._running.append(label)
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
    from serl_trl.trainer.token_logprobs import TokenLogprobs

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
    watch.watch(TokenLogprobs, "__call__", FORWARD)  # which calls TRL's where it has to
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


def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16, as far as Linux says."""
    info = Path("/proc/cpuinfo")
    return info.exists() and any(flag in info.read_text() for flag in ("amx_bf16", "avx512_bf16"))


def prompts_of(tokenizer: Any, num_prompts: int, num_tokens: int) -> list[str]:
    """Different prompts of as many tokens: a problem behind others, of which the first loses words until it fits."""
    from serl_trl.laboratory import word_problems

    problems = word_problems(num_prompts + num_tokens, "bench_step")["prompt"]
    prompts = []
    for i in range(num_prompts):
        words = " ".join(problems[i : i + num_tokens]).split()[-num_tokens:]
        while len(tokenizer(" ".join(words))["input_ids"]) > num_tokens:
            words = words[1:]
        prompts.append(" ".join(words))
    return prompts


def token_sums(completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
    """A reward that differs between completions and costs nothing."""
    return [float(sum(ids) % 7) for ids in completion_ids]


def whole_step(trainer: str, name: str, num_tokens: int, num_groups: int, num_steps: int) -> dict[str, Any]:
    """Trains in this process on prompts of a length; the median of a step, and its peak memory."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOTrainer

    from serl_trl import SeRLConfig, SeRLTrainer
    from serl_trl.cli.train_inputs import load_standalone
    from serl_trl.laboratory import CHECKPOINT

    steps_s: list[float] = []

    class EachStep(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.start_s = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            steps_s.append(time.perf_counter() - self.start_s)

    is_tiny = name == "tiny"
    if is_tiny:
        model, tokenizer = AutoModelForCausalLM.from_pretrained(CHECKPOINT), AutoTokenizer.from_pretrained(CHECKPOINT)
    else:
        model, tokenizer = load_standalone("smollm2", "--model", "bfloat16" if multiplies_bfloat16() else "float32")
    prompts = prompts_of(tokenizer, num_groups * num_steps, num_tokens)
    num_rows = num_groups * GROUP_SIZE
    per_device = min(64 if is_tiny else GROUP_SIZE, num_rows)
    with tempfile.TemporaryDirectory() as folder:
        args = SeRLConfig(
            folder, use_cpu=True, bf16=not is_tiny and multiplies_bfloat16(), gradient_checkpointing=False,
            report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1000, self_instruct=False,
            max_steps=num_steps, num_generations=GROUP_SIZE, generation_batch_size=num_rows, seed=0, beta=0.02,
            max_completion_length=COMPLETION_LENGTH, generation_kwargs={"min_new_tokens": COMPLETION_LENGTH},
            per_device_train_batch_size=per_device, gradient_accumulation_steps=num_rows // per_device,
            learning_rate=1e-5, advantage_estimator="grpo", min_vote_share=0, max_vote_share=1, share_prompts=True,
        )  # fmt: skip
        kind = SeRLTrainer if trainer == "SeRLTrainer" else GRPOTrainer
        kind(
            model, token_sums, args=args, train_dataset=Dataset.from_dict({"prompt": prompts}),
            processing_class=tokenizer, callbacks=[EachStep()],
            peft_config=None if is_tiny else LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        ).train()  # fmt: skip
    return {
        "step_s": statistics.median(steps_s),
        "spread_s": max(steps_s) - min(steps_s),
        "prompt_tokens": statistics.mean(len(tokenizer(prompt)["input_ids"]) for prompt in prompts),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_process_of_its_own(function: str, *arguments: str | int) -> dict[str, Any]:
    """What a function of this file returns there: its peak memory is then its own."""
    command = [sys.executable, __file__, "--call", function, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_overrides(num_steps: int) -> None:
    """The first table."""
    bare = in_a_process_of_its_own("run", "GRPOTrainer", "grpo", num_steps)
    ours = {name: in_a_process_of_its_own("run", "SeRLTrainer", name, num_steps) for name in ("grpo", "reinforce++")}
    print(f"{num_steps} steps of {NUM_GROUPS} groups of {GROUP_SIZE} on the tiny model; medians of a step")
    print(f"{'':30} {'step':>9} {'overrides':>16} {'votes':>9} {'forwards':>9} {'peak memory':>18}")
    for name, result in [("GRPOTrainer", bare), *ours.items()]:
        step_s, ours_s = result["median_s"]["step"], result["median_s"].get(OURS, 0.0)
        print(
            f"{name:30} {step_s:7.2f} s {ours_s * 1e3:7.1f} ms {ours_s / step_s:5.2%} "
            f"{result['median_s'][VOTES] * 1e3:6.1f} ms {result['forwards']:9.2f} "
            f"{result['peak_mib']:8.0f} MiB x{result['peak_mib'] / bare['peak_mib']:.3f}"
        )


def print_whole_steps(model: str, num_groups: int, num_steps: int) -> None:
    """The second table, for one model."""
    dtype = "bfloat16" if model != "tiny" and multiplies_bfloat16() else "float32"
    print(
        f"\n{model}, {dtype}: medians of {num_steps} whole steps of {num_groups} groups of {GROUP_SIZE}, completions of "
        f"{COMPLETION_LENGTH} tokens"
    )
    print(f"{'prompt':>12} {'GRPOTrainer':>22} {'SeRLTrainer':>22} {'ratio':>6} {'peak memory, MiB':>26}")
    for num_tokens in PROMPT_LENGTHS:
        layout = (model, num_tokens, num_groups, num_steps)
        theirs, ours = (
            in_a_process_of_its_own("whole_step", kind, *layout) for kind in ("GRPOTrainer", "SeRLTrainer")
        )
        columns = [f"{result['step_s']:9.2f} s (+-{result['spread_s'] / 2:.2f})" for result in (theirs, ours)]
        print(
            f"{ours['prompt_tokens']:5.0f} tokens {columns[0]:>22} {columns[1]:>22} "
            f"{theirs['step_s'] / ours['step_s']:6.2f} "
            f"{theirs['peak_mib']:9.0f} {ours['peak_mib']:7.0f} x{ours['peak_mib'] / theirs['peak_mib']:.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="5 steps of each instead of 30; 1 whole step of 1/4 the prompts"
    )
    parser.add_argument("--whole", action="store_true", help="only the table of whole steps")
    parser.add_argument("--call", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.call:
        name, *arguments = options.call
        function = {"run": run, "whole_step": whole_step}[name]
        print(json.dumps(function(*(int(value) if value.isdigit() else value for value in arguments))))
        return
    if not options.whole:
        print_overrides(5 if options.quick else 30)
    print_whole_steps("tiny", NUM_GROUPS // 4 if options.quick else NUM_GROUPS, 1 if options.quick else 3)
    from serl_trl.cli.train_inputs import path_of

    try:
        path_of("smollm2")  # fetches it once, before anything is measured
    except ValueError as error:
        print(f"\nSmolLM2-135M-Instruct: not run. {error}")
        return
    print_whole_steps("SmolLM2-135M-Instruct", 1 if options.quick else 4, 1 if options.quick else 3)


if __name__ == "__main__":
    main()

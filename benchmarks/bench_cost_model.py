"""The cost model against runs: what `--dry_run` says beforehand, and what is counted and weighed while a model is trained.

    python benchmarks/bench_cost_model.py            the tiny model, and SmolLM2-135M's shape with random weights
    python benchmarks/bench_cost_model.py --quick    the tiny model only

Each is trained on a CPU in a process of its own. Memory of a training step is weighed twice: by the bytes that PyTorch
allocates (torch.profiler), and by how much the process grows (Linux only).
"""

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.cli.plan import ARCHITECTURES
from serl_trl.cli.plan_memory import layer_bytes, memory, working_bytes
from serl_trl.cli.plan_sizes import ModelSize, Setup, checkpoint_bytes
from serl_trl.cli.plan_work import WorkPlan
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.rollouts import batch_source as instruction_feed


KNOWN = json.loads(ARCHITECTURES.read_text(encoding="utf-8"))
SMOLLM2 = KNOWN["HuggingFaceTB/SmolLM2-135M-Instruct"]
COMMON = {
    "share_prompts": False,  # the model counts a prompt for each of its completions: with sharing it is a bound
    "use_cpu": True, "bf16": False, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "seed": 0,
    "gradient_accumulation_steps": 2, "num_generations": 4, "instruction_presence_penalty": 0, "num_few_shot": 4,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "tiny": {
        "num_train_epochs": 2, "num_instructions": 8, "generation_batch_size": 16, "per_device_train_batch_size": 4,
        "max_completion_length": 24, "max_instruction_length": 80, "gradient_checkpointing": False, "beta": 0.01,
    },
    "smollm2": {
        "max_steps": 2, "self_instruct": False, "min_vote_share": 0.0, "max_vote_share": 1.0, "generation_batch_size": 32,
        "per_device_train_batch_size": 8, "max_completion_length": 64, "gradient_checkpointing": True, "beta": 0.01,
    },
}  # fmt: skip


def allocated_peak(act: Any) -> tuple[int, Any]:
    """Most bytes that PyTorch has allocated at a time during a call, beyond those before it; and what it returns."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = act()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak, result


def resident_peak(act: Any) -> tuple[int, Any]:
    """By how many bytes the process grows at most during a call, and what it returns; 0 bytes where this is not Linux."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0, act()

    def kibibytes(name: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    ctypes.CDLL(None).malloc_trim(0)  # else what was freed before hides what is asked for now
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak to what there is
    before = kibibytes("VmRSS")
    result = act()
    return 1024 * (kibibytes("VmHWM") - before), result


def measure(case: str, folder: str, **changes: Any) -> dict[str, dict[str, float]]:
    """Trains, in this process; what was predicted and what was measured, by name."""
    settings = COMMON | CASES[case] | changes
    path = str(CHECKPOINT)
    if case != "tiny":
        path = f"{folder}/model"
        AutoModelForCausalLM.from_config(AutoConfig.for_model(**SMOLLM2)).save_pretrained(path)
        AutoTokenizer.from_pretrained(CHECKPOINT).save_pretrained(path)
    args = SeRLConfig(output_dir=f"{folder}/run", **settings)
    prompts = [[{"role": "user", "content": text}] for text in word_problems(16, "cost model")["prompt"]]
    counts: Counter[str] = Counter()
    seen: dict[str, float] = {}
    trainer = SeRLTrainer(path, args=args, train_dataset=Dataset.from_dict({"prompt": prompts}))
    lengths = []

    class Scales(TrainerCallback):
        """Weighs gradients before the first optimiser step, and the optimiser after it."""

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
            seen["gradients, bytes"] = sum(g.numel() * g.element_size() for g in gradients)

        def on_optimizer_step(self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any) -> None:
            states = [value for state in trainer.optimizer.state.values() for value in state.values()]
            seen["optimiser, bytes"] = sum(t.numel() * t.element_size() for t in states if t.dim() > 0)

    score, step = SeRLTrainer._get_per_token_logps_and_entropies, trainer.training_step
    rollouts, replies = instruction_feed.rollouts, instruction_feed.written_replies

    def counted_score(self: Any, model: Any, input_ids: torch.Tensor, *rest: Any, **kwargs: Any) -> Any:
        kind = "policy, forward" if torch.is_grad_enabled() else "policy, no gradient"
        counts["reference" if model is self.ref_model else kind] += len(input_ids)
        lengths.append(input_ids.shape[1])
        return score(self, model, input_ids, *rest, **kwargs)

    def counted_rollouts(*args: Any) -> Any:
        groups, number = rollouts(*args)
        counts["rollouts"] += number
        counts["generated tokens"] += sum(len(row.completion_ids) for group in groups for row in group)
        return groups, number

    def counted_replies(trainer: Any, prompts: list, seed: int) -> Any:
        counts["replies"] += len(prompts)
        return replies(trainer, prompts, seed)

    def weighed_step(*rest: Any, **kwargs: Any) -> Any:
        micro_batch = trainer._step
        if micro_batch == 1:  # the second: the rollouts are there, and so are gradients
            seen["training step, allocated bytes"], result = allocated_peak(lambda: step(*rest, **kwargs))
        elif micro_batch == 3:
            seen["training step, resident bytes"], result = resident_peak(lambda: step(*rest, **kwargs))
        else:
            result = step(*rest, **kwargs)
        if micro_batch in (1, 3):
            seen["tokens of a prompt"] = lengths[-1] - args.max_completion_length
        return result

    trainer.add_callback(Scales())
    trainer.training_step = weighed_step
    SeRLTrainer._get_per_token_logps_and_entropies = counted_score
    instruction_feed.rollouts, instruction_feed.written_replies = counted_rollouts, counted_replies
    try:
        trainer.train()
    finally:
        SeRLTrainer._get_per_token_logps_and_entropies = score
        instruction_feed.rollouts, instruction_feed.written_replies = rollouts, replies
    trainer._save_checkpoint(trainer.model, trial=None)
    checkpoint = next(Path(args.output_dir).glob("checkpoint-*"))
    sizes = {file: (checkpoint / file).stat().st_size for file in ("model.safetensors", "optimizer.pt")}
    rest = sum(p.stat().st_size for p in checkpoint.rglob("*") if p.is_file()) - sum(sizes.values())

    work = WorkPlan.from_config(args, args.num_instructions if args.self_instruct else len(prompts))
    with torch.device("meta"):
        size = ModelSize.of(AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(path)))
    setup = Setup(is_bf16=False, prompt_tokens=round(seen["tokens of a prompt"]), device="cpu")
    training = memory(size, setup, work)["training"].parts
    predicted_step = training["activations"] + training["LM head or a layer"]
    saved = checkpoint_bytes(size, setup, work)
    result = {
        "parameters": (size.num_parameters, sum(p.numel() for p in trainer.model.parameters())),
        "optimiser steps": (work.num_steps, trainer.state.global_step),
        **{
            kind: (work.passes[kind], counts[kind]) for kind in ("policy, no gradient", "reference", "policy, forward")
        },
        "gradients, bytes": (training["gradients"], seen["gradients, bytes"]),
        "optimiser, bytes": (training["optimiser"], seen["optimiser, bytes"]),
        "model of a checkpoint, bytes": (saved["weights"], sizes["model.safetensors"]),
        "optimiser of a checkpoint, bytes": (saved["optimiser"], sizes["optimizer.pt"]),
        "rest of a checkpoint, bytes": (0, rest),
        "training step, allocated bytes": (predicted_step, seen["training step, allocated bytes"]),
        "training step, resident bytes": (predicted_step, seen.get("training step, resident bytes", 0)),
    }
    if args.self_instruct:
        result |= {
            "rollouts, at most": (work.max_rollouts, counts["rollouts"]),
            "generated tokens, at most": (work.max_generated_tokens, counts["generated tokens"]),
            "replies, at most": (round(work.num_iterations) * work.max_replies_per_iteration, counts["replies"]),
        }
    return {name: {"predicted": float(p), "measured": float(m)} for name, (p, m) in result.items()}


def measure_layers(kind: str) -> dict[str, dict[str, float]]:
    """Memory of the layers alone, without an LM head, which outweighs a small model: forward, then backward with recomputing."""
    shape = SMOLLM2 | {"hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = AutoConfig.for_model(**shape | {"num_key_value_heads": 2, "head_dim": 32, "vocab_size": 64})
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16 if kind == "bfloat16" else torch.float32)
    model.train()
    model.gradient_checkpointing_enable()
    ids = torch.randint(0, config.vocab_size, (2, 64))
    mask = torch.ones_like(ids)
    mask[:, :5] = 0

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
            hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        hidden.float().sum().backward()

    step()  # so that there are gradients
    size = ModelSize.of(model)
    setup = Setup(sharding="zero3" if kind == "bfloat16" else "ddp", is_bf16=kind != "float32")
    kept = config.num_hidden_layers * config.hidden_size * setup.residual_bytes
    predicted = ids.numel() * (kept + layer_bytes(size, setup)) + working_bytes(size, setup, ids.numel())
    return {f"layers in {kind}, allocated bytes": {"predicted": predicted, "measured": float(allocated_peak(step)[0])}}


def table(rows: dict[str, dict[str, float]]) -> None:
    """Prints what was predicted and measured."""
    print(f"{'':40} {'predicted':>16} {'measured':>16} {'ratio':>7}")
    for name, row in rows.items():
        ratio = row["predicted"] / row["measured"] if row["measured"] else float("nan")
        print(f"{name:40} {row['predicted']:16,.0f} {row['measured']:16,.0f} {ratio:7.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the tiny model only")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(options.case, folder)))
        return
    table({name: row for kind in ("float32", "bfloat16", "autocast") for name, row in measure_layers(kind).items()})
    for case in ["tiny"] if options.quick else list(CASES):
        done = subprocess.run(
            [sys.executable, __file__, "--case", case], check=True, stdout=subprocess.PIPE, text=True
        )
        print(case)
        table(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()

"""Short runs of the built-in model that save at every step, and what differs between the folders of two runs."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet
import torch
from datasets import Dataset
from safetensors.torch import load_file

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.monitoring.log_callbacks import MetricsFileCallback


SETTINGS: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "disable_tqdm": True,
    "learning_rate": 1e-3,
    "seed": 7,
    # two iterations of two rollouts, each trained on in two steps of two micro-batches
    "num_train_epochs": 2,
    "num_instructions": 8,
    "num_generations": 4,
    "generation_batch_size": 16,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "max_completion_length": 16,
    "max_instruction_length": 80,
    "instruction_presence_penalty": 0,
    "num_few_shot": 4,
    "save_strategy": "steps",
    "save_steps": 1,
    "logging_steps": 2,
    "log_completions": True,
    "num_completions_to_print": 0,
}
NUM_STEPS = 8


def seeds(num_seeds=8):
    texts = word_problems(num_seeds, "tests")["prompt"]
    return Dataset.from_dict({"prompt": [[{"role": "user", "content": text}] for text in texts]})


def trainer(output_dir, reward_funcs=None, dataset=None, eval_dataset=None, peft_config=None, **settings):
    """A trainer of its own, with its metrics on file."""
    return SeRLTrainer(
        str(CHECKPOINT),
        reward_funcs,
        SeRLConfig(output_dir=str(output_dir), **{**SETTINGS, **settings}),
        dataset or seeds(),
        eval_dataset=eval_dataset,
        peft_config=peft_config,
        callbacks=[MetricsFileCallback()],
    )


def differences(first, second, step=NUM_STEPS):
    """What differs between two finished runs: their files, and all of their checkpoints of a step. Times are left out."""
    first, second = Path(first), Path(second)
    found = []
    checkpoint = f"checkpoint-{step}"
    for pattern in ("instructions/*", "completions/*", "metrics.jsonl", f"{checkpoint}/**/*"):
        names = [sorted(p.relative_to(run) for p in run.glob(pattern) if p.is_file()) for run in (first, second)]
        if names[0] != names[1]:
            found.append(f"{pattern}: {names[0]} and {names[1]}")
        found += [
            str(n) for n in names[0] if n in names[1] and not _is_same(_content(first / n), _content(second / n))
        ]
    return found


def _content(path):
    if path.name in ("complete.json", "settings.json", "training_args.bin"):
        return None  # sizes, and settings, with the paths of the run
    if path.suffix == ".jsonl":
        return [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        content = _without_times(json.loads(path.read_text()))
        if path.name == "tokenizer.json":  # holds the padding of its last call
            return {name: value for name, value in content.items() if name not in ("padding", "truncation")}
        return content
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path).to_pylist()
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix in (".pt", ".pth"):
        return torch.load(path, weights_only=False)
    return path.read_bytes()


def _without_times(value):
    """The value without what a clock has said: the time of a step, and what Trainer says of a session."""
    if isinstance(value, list):
        return [kept for kept in map(_without_times, value) if kept != {}]
    if not isinstance(value, dict):
        return value
    if "train_runtime" in value:
        return {}
    return {k: _without_times(v) for k, v in value.items() if k not in ("step_time", "output_dir")}


def _is_same(first, second):
    """Equality to the last bit, of tensors, too."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if hasattr(first, "tolist"):
        return first.tolist() == second.tolist()
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_is_same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_is_same, first, second))
    if isinstance(first, float) and math.isnan(first):
        return isinstance(second, float) and math.isnan(second)
    return first == second

"""
The trainings of accelerator_check.py, each in a process of its own.

    python accelerator_arms.py NAME SETTINGS RESULT
"""

import ctypes
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from bench_generation import PeakMemory, wait_for
from datasets import Dataset
from transformers import TrainerCallback
from trl import ModelConfig, TrlParser

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.cli.named_files import with_config_file
from serl_trl.cli.parsers import parsed
from serl_trl.cli.plan import make_plan
from serl_trl.cli.plan_arguments import PlanArguments
from serl_trl.cli.train import build_trainer, set_up
from serl_trl.cli.train_arguments import SeRLScriptArguments
from serl_trl.laboratory import CHECKPOINT, word_problems


SMALL: dict[str, Any] = {
    "report_to": "none", "disable_tqdm": True, "logging_steps": 1, "seed": 7, "learning_rate": 1e-3,
    "lr_scheduler_type": "constant", "lr_scheduler_kwargs": None, "warmup_steps": 0, "gradient_checkpointing": False,
    "num_generations": 4, "generation_batch_size": 16, "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2, "max_completion_length": 40, "beta": 0.05, "instruction_presence_penalty": 0,
}  # fmt: skip
# of the groups of a batch: every one inside the band of shares, and no two micro-batches alike, so that no loss is 0
ANSWERS = ([7, 7, 8, 8], [7, 7, 7, 8], [5, 5, 6, 9], [3, 3, 4, 3])


def small_trainer(device: str, output_dir: str, **settings: Any) -> SeRLTrainer:
    """A trainer of the built-in model."""
    texts = word_problems(8, "accelerator check")["prompt"]
    seeds = Dataset.from_dict({"prompt": [[{"role": "user", "content": text}] for text in texts]})
    args = SeRLConfig(output_dir=output_dir, use_cpu=device == "cpu", **{**SMALL, **settings})
    return SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=seeds)


def logged(trainer: SeRLTrainer, name: str) -> list[float]:
    """A metric at each step."""
    return [float(logs[name]) for logs in trainer.state.log_history if name in logs]


def scripted(prompts: list[Any], trainer: Any) -> dict[str, Any]:
    """Completions that are the same on every device, in the place of TRL's `rollout_func`."""
    completion_ids = []
    for row in range(len(prompts)):
        group, place = divmod(row, trainer.num_generations)
        rng = random.Random(f"{trainer.state.global_step}/{row}")
        thought = " ".join(rng.choices(["Sam", "has", "4", "toys", "in", "all"], k=rng.randint(4, 16)))
        text = f"{thought}. \\boxed{{{ANSWERS[group][place]}}}"
        tokenizer = trainer.processing_class
        completion_ids.append([*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id])
    return {"prompt_ids": trainer.decoding.prompt_ids(prompts), "completion_ids": completion_ids, "logprobs": None}


def parity(device: str, folder: str) -> dict[str, Any]:
    """Three steps of REINFORCE++ with KL in float32, from given completions."""
    torch.set_float32_matmul_precision("highest")  # no TF32; its environment says so to cuBLAS and Triton
    settings = {"bf16": False, "self_instruct": False, "max_steps": 3, "save_strategy": "no", "learning_rate": 1e-4}
    trainer = small_trainer(device, folder, **settings)
    trainer.rollout_func = scripted
    trainer.train()
    return {name: logged(trainer, name) for name in ("loss", "grad_norm", "kl", "reward")}


class KillInStep(TrainerCallback):
    """Kills this process in the middle of the step after `num_steps`."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.num_steps:
            os.kill(os.getpid(), signal.SIGKILL)


def resume(device: str, folder: str, role: str, setting: str) -> dict[str, Any]:
    """Two iterations of two steps: `"whole"`, `"killed"` in the third step, or `"resumed"` from the second."""
    if setting == "warn_only":  # full_determinism but for what PyTorch knows no repeatable way of
        torch.use_deterministic_algorithms(True, warn_only=True)
    steps = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "num_instructions": 4, "num_few_shot": 4}
    steps |= {"max_instruction_length": 80, "full_determinism": setting == "full_determinism"}
    trainer = small_trainer(device, folder, bf16=True, **steps)
    if role == "killed":
        trainer.add_callback(KillInStep(2))
    trainer.train(resume_from_checkpoint=role == "resumed")
    return {"loss": logged(trainer, "loss")}


class StepTimes(TrainerCallback):
    """Seconds of each step, rollouts included."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds, self.begun = device, list[float](), 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait_for(self.device)
        self.begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        wait_for(self.device)
        self.seconds.append(time.perf_counter() - self.begun)


def lora_flags(device: str, folder: str, model: str, is_recomputed: bool, is_quick: bool) -> list[str]:
    """The flags of `serl-trl train` for two steps with an adapter of rank 16."""
    settings: dict[str, Any] = {
        "config": "smollm2_cpu", "model_name_or_path": model, "output_dir": folder, "max_steps": 2,
        "use_cpu": device == "cpu", "gradient_checkpointing": is_recomputed, "self_instruct": False, "num_seeds": 32,
        "min_vote_share": 0, "beta": 0.01, "generation_batch_size": 32 if is_quick else 64,
        "per_device_train_batch_size": 8 if is_quick else 16, "gradient_accumulation_steps": 4,
        "max_completion_length": 16 if is_quick else 64, "num_eval_problems": 0,
        "num_interim_problems": 0, "collapse_guard": "off", "save_strategy": "no", "disable_tqdm": True,
    }  # fmt: skip
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def lora(device: str, folder: str, model: str, is_recomputed: bool, is_quick: bool) -> dict[str, Any]:
    """Two steps as `serl-trl train` makes them, with the plan that `--dry_run` makes of the same flags."""
    flags = with_config_file(lora_flags(device, folder, model, is_recomputed, is_quick))
    kinds: Any = (SeRLScriptArguments, SeRLConfig, ModelConfig)
    *settings, plan_args = parsed(TrlParser((*kinds, PlanArguments)), [*flags, "--dry_run", "true"])
    phases = make_plan(*settings, plan_args).phases
    place = torch.device(device)
    memory = PeakMemory(place)
    job = set_up(*parsed(TrlParser(kinds), flags))
    if device == "cpu":
        ctypes.CDLL(None).malloc_trim(0)  # else what was freed before hides what is asked for now
    memory.start()
    before = memory.peak_mib()
    trainer = build_trainer(job)
    times = StepTimes(place)
    trainer.add_callback(times)
    trainer.train()
    return {
        "seconds of steps": times.seconds,
        "peak_mib": memory.peak_mib() - before,
        "forecast_mib": {name: phase.total / 2**20 for name, phase in phases.items()},
        "loss": logged(trainer, "loss"),
        "grad_norm": logged(trainer, "grad_norm"),
        "reserved_mib": torch.cuda.max_memory_reserved(place) / 2**20 if device == "cuda" else 0.0,
    }


ARMS = {"parity": parity, "resume": resume, "lora": lora}


def main(name: str, settings: str, result: str) -> None:
    found = ARMS[name](**json.loads(settings))
    Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Short runs of the built-in model, and what is looked at after them."""

from typing import Any

import torch
from datasets import Dataset

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT, word_problems


SETTINGS: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "logging_steps": 1,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant",
    "warmup_steps": 0,
    "num_generations": 4,
    "generation_batch_size": 16,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 2,
    "num_instructions": 8,
    "num_train_epochs": 1,
    "max_completion_length": 24,
    "max_instruction_length": 80,
    "num_few_shot": 4,
    "seed": 7,
}


def seeds(num_seeds=8):
    problems = word_problems(num_seeds, "tests")
    return Dataset.from_list(
        [{"prompt": [{"role": "user", "content": row["prompt"]}], "answer": row["answer"]} for row in problems]
    )


def trainer(tmp_path, dataset=None, reward_funcs=None, eval_dataset=None, **settings):
    args = SeRLConfig(output_dir=str(tmp_path), **{**SETTINGS, **settings})
    dataset = seeds() if dataset is None else dataset
    return SeRLTrainer(str(CHECKPOINT), reward_funcs, args, dataset, eval_dataset=eval_dataset)


def trained(*args, **settings):
    """A finished run; TRL seeds everything at construction, so one run must end before the next is made."""
    run = trainer(*args, **settings)
    run.train()
    return run


def parameters(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def snapshots(run):
    """A list that gets the parameters after each optimiser step of a run that is still to come."""
    passed = []
    run.create_optimizer()
    step = run.optimizer.step

    def noted(*args, **kwargs):
        result = step(*args, **kwargs)
        passed.append(parameters(run.model))
        return result

    run.optimizer.step = noted
    return passed


def rollout(some_trainer):
    """One generation batch of the trainer, as TRL asks for it."""
    some_trainer.model.train()
    size = some_trainer.args.generation_batch_size
    rows = [i // some_trainer.num_generations for i in range(size)]
    if some_trainer.feed is None:
        return some_trainer._generate_and_score_completions([some_trainer.train_dataset[row] for row in rows])
    some_trainer.regenerate_instructions(0)
    return some_trainer._generate_and_score_completions([{"slot": row} for row in rows])


class Alternating:
    """A reward whose every group of four is 1, 0, 0, 1 except the first group, which is all 1."""

    __name__ = "alternating"

    def __call__(self, prompts, completions, **kwargs):
        return [1.0 if i < 4 or i % 4 in (0, 3) else 0.0 for i in range(len(completions))]

"""Run by test_sharded.py in two processes, under DDP, FSDP2, ZeRO-2 and ZeRO-3: scripted, resumed, real and broken runs."""

import gc
import json
import math
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from accelerate import DistributedType, PartialState
from transformers import TrainerCallback

from scripted_rollouts import SCRIPTED, script
from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, seeds


# Three groups of four a batch, five problems for each; two processes of two micro-batches of three rows.
SCRIPT = [
    *enumerate(["easy", "easy", "hard", "easy", "easy"]),  # nothing kept, and the optimiser has no state yet
    *enumerate(["easy", "even", "easy", "three", "even"], 5),  # filled in the second round
    *enumerate(["easy", "easy", "hard", "hard", "easy"], 10),  # nothing kept, and there is momentum
    *enumerate(["easy", "hard", "even", "hard", "easy"], 15),  # one group kept, which the second process has no row of
    *enumerate(["even", "three", "easy", "even", "three"], 20),
]
LAYOUT = {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 2, "generation_batch_size": 12}
RUN = {
    **SCRIPTED,
    **LAYOUT,
    "num_instructions": 15,
    "beta": 0.05,  # in the reward
    "learning_rate": 1e-2,
    "adam_epsilon": 1e-2,  # keeps what rounding does to gradients near 0 out of the steps
    "lr_scheduler_type": "linear",  # a step that is left out shows
    "max_grad_norm": 0.05,  # below every norm
    "max_steps": 5,
}


class Snapshots(TrainerCallback):
    """Whole parameters after each step."""

    def __init__(self, trainer):
        self.trainer, self.passed = trainer, []

    def on_step_end(self, args, state, control, **kwargs):
        self.passed.append(parameters(self.trainer))


def shard_on_a_cpu():
    """
    Has Accelerate do for CPU processes what it does for those of GPUs, where FSDP is asked for.

    It would turn FSDP into DDP without a word: it looks at the kind of device before it looks for FSDP. Neither its own
    code for FSDP2 nor PyTorch's needs a GPU.
    """
    original = PartialState.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if self._shared_state["distributed_type"] == DistributedType.MULTI_CPU:
            self._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        PartialState.__init__ = init


def parameters(trainer):
    model = trainer.accelerator.unwrap_model(trainer.model)
    whole = nullcontext()
    if trainer.is_fsdp_enabled:
        return {name: parameter.full_tensor().detach().clone() for name, parameter in model.named_parameters()}
    if trainer.is_deepspeed_enabled and trainer.accelerator.state.deepspeed_plugin.zero_stage == 3:
        import deepspeed

        whole = deepspeed.zero.GatheredParameters(list(model.parameters()))
    with whole:
        return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def trainer(output_dir, reward_funcs=None, **settings):
    args = SeRLConfig(output_dir=str(output_dir), **{**SETTINGS, **settings})
    run = SeRLTrainer(str(CHECKPOINT), reward_funcs, args, seeds())
    run.add_callback(snapshots := Snapshots(run))
    return run, snapshots.passed


def logged(run, name):
    return [row[name] for row in run.state.log_history if name in row]


def scripted(folder, record):
    """A run, and the same from its checkpoint after the second empty step."""
    steps = []
    for name, checkpoint in (("whole", None), ("again", folder / "whole" / "checkpoint-3")):
        with pytest.MonkeyPatch.context() as monkeypatch:
            run, passed = trainer(folder / name, **RUN, save_strategy="steps", save_steps=3)
            script(monkeypatch, run, SCRIPT)
            run.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        record[name] = {
            key: logged(run, key) for key in ("grad_norm", "learning_rate", "kl", "serl/gate/frac_empty_steps")
        }
        steps.append(passed)
    record["resumed"] = all(torch.equal(steps[0][-1][name], value) for name, value in steps[1][-1].items())
    if PartialState().is_main_process:
        torch.save(steps[0], folder / "steps.pt")


def real(folder, record):
    """Self-instruction by the policy itself, and a model that is saved."""
    run, passed = trainer(folder / "real", **LAYOUT, num_instructions=6)
    run.train()
    record["instructions"] = [instruction.text for instruction in run.train_dataset.queue]
    record["real_empty"] = logged(run, "serl/gate/frac_empty_steps")
    record["checksum"] = sum(value.double().sum().item() for value in passed[-1].values())
    run.save_model(str(folder / "model"))
    if PartialState().is_main_process:
        torch.save(passed[-1], folder / "real.pt")


def broken(folder, record):
    """A loss on one process that is no number, at the second step."""
    run, passed = trainer(folder / "broken", **LAYOUT, num_instructions=6, min_vote_share=0, max_vote_share=1)
    estimate = run._with_advantages

    def poisoned(output, is_kept):
        output = estimate(output, is_kept)
        if run.state.global_step == 1 and run.accelerator.process_index == 1:
            output["advantages"][0, 0] = math.nan
        return output

    run._with_advantages = poisoned
    try:
        run.train()
    except FloatingPointError as error:
        record["error"] = str(error)
    after = parameters(run)
    record["unmoved"] = all(torch.equal(value, after[name]) for name, value in passed[0].items())
    record["num_steps"] = len(passed)


def main(folder: Path, parts: list[str]) -> None:
    record: dict = {}
    for part in parts:
        {"scripted": scripted, "real": real, "broken": broken}[part](folder, record)
        gc.collect()
    state = PartialState()
    record["backend"] = str(state.distributed_type)
    (folder / f"rank{state.process_index}.json").write_text(json.dumps(record))
    group = torch.distributed.group.WORLD  # the last to let go of it, as in SeRLTrainer.end
    state.destroy_process_group()
    gc.collect()
    del group


if __name__ == "__main__":
    torch.set_num_threads(1)
    shard_on_a_cpu()
    main(Path(sys.argv[1]), sys.argv[2:])

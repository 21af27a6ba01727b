"""Run by test_vllm.py, in a process of its own: trains the built-in model a few steps with rollouts from vLLM on a CPU."""

import json
import sys
from pathlib import Path

import torch
from trl.generation.vllm_generation import VLLMGeneration

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.tiny import CHECKPOINT
from test_serl_trainer import SETTINGS, seeds


VLLM = {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.1, "vllm_max_model_length": 1024}
SAMPLING = ("n", "temperature", "top_p", "presence_penalty", "max_tokens", "logprobs")


def reload_weights(self):
    """
    What TRL's `sync_weights` is to do in colocate mode, for the CPU build of vLLM.

    TRL hands each parameter to `model.load_weights`. On a CPU vLLM has packed the linear layers' weights by then, and
    cannot load into them; its model runner can load all of them anew.
    """
    worker = self.llm.llm_engine.model_executor.driver_worker
    worker.model_runner.reload_weights(weights_iterator=((n, p.clone()) for n, p in self._iter_named_params()))
    self.llm.reset_prefix_cache()


def main(output_dir: Path, is_synced: bool, seed: int) -> None:
    syncs: list[int] = []

    def sync(self):
        syncs.append(run.state.global_step)
        if is_synced:
            reload_weights(self)

    VLLMGeneration.sync_weights = sync
    settings = SETTINGS | VLLM | {"num_train_epochs": 2, "seed": seed}
    run = SeRLTrainer(
        str(CHECKPOINT), args=SeRLConfig(output_dir=str(output_dir), **settings), train_dataset=seeds()
    )
    engine, calls = run.vllm_generation, []
    generate, before = engine.llm.generate, settings_of(engine)

    def noted(prompts, sampling_params, **kwargs):
        outputs = generate(prompts, sampling_params=sampling_params, **kwargs)
        calls.append(
            {name: getattr(sampling_params, name) for name in SAMPLING}
            | {
                "step": run.state.global_step,
                "num_prompts": len(prompts),
                "num_outputs": sum(len(output.outputs) for output in outputs),
                "tokens": [list(output.outputs[0].token_ids) for output in outputs],
            }
        )
        return outputs

    engine.llm.generate = noted
    run.train()
    record = {
        "syncs": syncs,
        "calls": calls,
        "settings": [before, settings_of(engine)],
        "logs": run.state.log_history,
        "random": torch.rand(3).tolist(),
    }
    (output_dir / "record.json").write_text(json.dumps(record))
    run.end()


def settings_of(engine) -> dict:
    names = ("temperature", "top_p", "max_completion_length", "generation_kwargs")
    return {name: getattr(engine, name) for name in names}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2] == "synced", int(sys.argv[3]))

"""Run by test_vllm.py in a process of its own: a few steps of the built-in model, sampled by vLLM on a CPU."""

import argparse
import functools
import json
from pathlib import Path

import torch
from trl.generation import vllm_generation
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import VLLMGeneration

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, seeds


COLOCATE = {"vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.1, "vllm_max_model_length": 1024}
SAMPLING = ("n", "temperature", "top_p", "presence_penalty", "max_tokens", "logprobs")


def reload_weights(self):
    """
    What TRL's `sync_weights` is to do in colocate mode, for the CPU build of vLLM.

    TRL hands each parameter to `model.load_weights`. On a CPU vLLM has packed the linear layers' weights by then, and
    cannot load into them; its model runner can load all of them anew. That of a head which is tied to the embedding
    must be packed again by hand.
    """
    runner = self.llm.llm_engine.model_executor.driver_worker.model_runner
    runner.reload_weights(weights_iterator=((name, weight.clone()) for name, weight in self._iter_named_params()))
    head = runner.model.lm_head
    head.quant_method.process_weights_after_loading(head)
    self.llm.reset_prefix_cache()


def main(flags: argparse.Namespace) -> None:
    syncs: list[int] = []

    def sync(self):
        syncs.append(run.state.global_step)
        if flags.sync:
            reload_weights(self)

    def init_communicator(self, device=0):
        """Nothing: TRL's wants CUDA."""

    VLLMGeneration.sync_weights = sync
    VLLMClient.init_communicator = init_communicator
    # TRL leaves the type to vLLM, which takes bfloat16 for a float32 model: some thousand times the rounding.
    vllm_generation.LLM = functools.partial(vllm_generation.LLM, dtype="float32")
    backend = {"vllm_mode": "server", "vllm_server_base_url": flags.server} if flags.server else COLOCATE
    settings = SETTINGS | backend | {"use_vllm": True, "save_strategy": "steps", "save_steps": 2}
    settings["num_train_epochs"] = 1 if flags.server else 2
    args = SeRLConfig(output_dir=str(flags.output_dir), **settings)
    run = SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=seeds())
    before, seed = settings_of(run.vllm_generation), torch.initial_seed()
    calls = noted_calls(run)
    run.train(resume_from_checkpoint=flags.checkpoint)
    record = {
        "seed": seed,
        "syncs": syncs,
        "calls": calls,
        "settings": [before, settings_of(run.vllm_generation)],
        "logs": run.state.log_history,
        "instructions": [instruction.text for instruction in run.train_dataset.queue],
        "checksum": sum(parameter.double().sum().item() for parameter in run.model.parameters()),
    }
    (flags.output_dir / "record.json").write_text(json.dumps(record))
    run.end()


def noted_calls(run) -> list[dict]:
    """What vLLM is asked from now on, and what it answers."""
    engine, calls = run.vllm_generation, []
    target = engine.llm if engine.mode == "colocate" else engine.vllm_client
    generate = target.generate

    def noted(prompts, sampling_params=None, **kwargs):
        if sampling_params is None:  # of a server
            answer = generate(prompts, **kwargs)
            asked, tokens = kwargs | kwargs["generation_kwargs"], answer["completion_ids"]
        else:
            answer = generate(prompts, sampling_params=sampling_params, **kwargs)
            asked = {name: getattr(sampling_params, name) for name in SAMPLING}
            tokens = [list(output.token_ids) for outputs in answer for output in outputs.outputs]
        asked = {name: asked.get(name, 0.0) for name in SAMPLING}
        calls.append({**asked, "step": run.state.global_step, "num_prompts": len(prompts), "tokens": tokens})
        return answer

    target.generate = noted
    return calls


def settings_of(engine) -> dict:
    names = ("temperature", "top_p", "max_completion_length", "generation_kwargs")
    return {name: getattr(engine, name) for name in names}


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--checkpoint")
    parser.add_argument("--server", help="Base URL; without it vLLM runs in this process.")
    main(parser.parse_args())

r"""Prints what a run would do and need, before anything is downloaded, trained or written.

    serl-trl plan                                                          the built-in laboratory
    serl-trl plan --config llama3.2_3b --seed_file prompts.jsonl --plan_for deepspeed_zero3 --plan_device_gb 48
    serl-trl plan --model_name_or_path Qwen/Qwen2.5-7B-Instruct --seed_file prompts.jsonl --use_peft \
        --plan_processes 8 --plan_device_gb 80

It takes the flags of `serl-trl train` and those below; `serl-trl train --dry_run` does the same. It prints steps,
rollouts, tokens, memory of a process in each phase, communication and the size of a checkpoint, then warnings with
remedies.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from trl import ModelConfig, get_peft_config

from ..instructions import check_filters
from ..prompts import PromptTemplate, put_to_policy
from ..runtime import imported_object
from ..trainer import SeRLConfig, check_rendering
from .measure import load_measured
from .plan_arguments import PlanArguments, device_bytes, launch_of
from .plan_memory import Memory, memory, vllm_memory
from .plan_sizes import ModelSize, Setup, checkpoint_bytes, communication, readable
from .plan_work import ACCEPTED, WorkPlan
from .train_arguments import SeRLScriptArguments
from .train_inputs import check_num_votes, load_seeds, load_template, source_of


# sizes of models that the configurations name, for use without the Hub
ARCHITECTURES = Path(__file__).parent / "architectures.json"
PAPER_PROMPT_TOKENS = 1024


# The model ---------------------------------------------------------------------------------------------------------


def meta_model(model_args: ModelConfig, training_args: SeRLConfig) -> tuple[Any, str]:
    """The model without its weights, with its adapter if it gets one, and where its sizes are from."""
    name = str(model_args.model_name_or_path)
    origin = f"config of {name}"
    source = source_of(model_args, training_args, may_fetch=False)
    try:
        config = AutoConfig.from_pretrained(**source)
    except (OSError, ValueError) as error:
        known = json.loads(ARCHITECTURES.read_text(encoding="utf-8"))
        if name not in known:
            raise ValueError(
                f"The config of {name} is neither here nor can it be had from the Hub "
                f"({str(error).splitlines()[0]}). Give --model_name_or_path a folder that holds its config.json, "
                "which is all that a plan needs."
            ) from None
        config, origin = AutoConfig.for_model(**known[name]), f"{ARCHITECTURES.name}; the Hub is not reached"
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        adapter = get_peft_config(model_args)
        if adapter is not None:
            model = get_peft_model(model, adapter)
    return model, origin


def tokenizer_of(model_args: ModelConfig, training_args: SeRLConfig) -> Any | None:
    """The model's tokenizer, if it is here or can be had."""
    try:
        return AutoTokenizer.from_pretrained(**source_of(model_args, training_args, may_fetch=False))
    except (OSError, ValueError):
        return None


def longest_prompt(prompts: list[Any], template: PromptTemplate | None, tokenizer: Any) -> int:
    """Tokens of the longest prompt, as the policy gets it."""
    rendered = [template.render(prompt) if template and isinstance(prompt, str) else prompt for prompt in prompts]
    return max(
        len(
            tokenizer(prompt)["input_ids"]
            if isinstance(prompt, str)
            else tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
        )
        for prompt in rendered
    )


# The plan ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """A run that has been worked out, with what was not found on the way."""

    name: str
    origin: str
    model: ModelSize
    setup: Setup
    work: WorkPlan
    num_seeds: int
    notes: list[str]

    @property
    def phases(self) -> dict[str, Memory]:
        """Memory of a process in each phase."""
        return memory(self.model, self.setup, self.work)


def make_plan(
    script_args: SeRLScriptArguments, training_args: SeRLConfig, model_args: ModelConfig, plan_args: PlanArguments
) -> Plan:
    """Builds what can be built without weights; raises ValueError for whatever is wrong with the input."""
    launch, notes = launch_of(plan_args), []
    if training_args.world_size != launch.num_processes:
        raise ValueError("--plan_for and --plan_processes belong on the command line, not into a YAML file.")
    check_filters(imported_object(name, "--filters") for name in script_args.filters)
    check_num_votes(script_args, training_args)
    load_measured(script_args)
    model, origin = meta_model(model_args, training_args)
    tokenizer = tokenizer_of(model_args, training_args)
    try:
        seeds = load_seeds(script_args, training_args)["prompt"][:]
    except ValueError as error:
        absent = script_args.dataset_name or not Path(script_args.seed_file or ".").exists()
        if not absent or not training_args.self_instruct:
            raise
        seeds = []
        notes.append(f"Without seeds: {error}")
    if plan_args.plan_prompt_tokens is not None:
        prompt_tokens = plan_args.plan_prompt_tokens
    elif tokenizer is None or not seeds:
        prompt_tokens = PAPER_PROMPT_TOKENS
        notes.append(f"Prompts are taken to have {PAPER_PROMPT_TOKENS} tokens, as at most in the paper.")
    else:
        template = load_template(script_args.prompt_template, tokenizer)
        asked = [put_to_policy(prompt, template) for prompt in seeds]
        check_rendering(asked, tokenizer, training_args.chat_template_kwargs)  # type: ignore[arg-type]  # TRL has parsed it
        prompt_tokens = longest_prompt(seeds, template, tokenizer)
        notes.append("Prompts are taken to be as long as the longest given; --plan_prompt_tokens plans for others.")
    is_colocated = training_args.use_vllm and training_args.vllm_mode == "colocate"
    setup = Setup(
        num_processes=launch.num_processes,
        sharding=launch.sharding,
        is_bf16=training_args.bf16 or not (training_args.use_cpu or training_args.fp16),
        weight_bytes=2 if model_args.dtype in ("bfloat16", "float16") else 4,
        prompt_tokens=prompt_tokens,
        device="cpu" if training_args.use_cpu else "cuda",
        device_bytes=device_bytes(plan_args, training_args, launch.num_processes),
        vllm_share=training_args.vllm_gpu_memory_utilization if is_colocated else 0.0,
        does_vllm_sleep=training_args.vllm_enable_sleep_mode,
        vllm_parallel=training_args.vllm_tensor_parallel_size,
        does_vllm_roll_out=training_args.use_vllm,
        is_optimiser_elsewhere=launch.is_optimiser_elsewhere,
    )
    num_rows = training_args.num_instructions if training_args.self_instruct else len(seeds)
    if num_rows < training_args.num_prompts_per_generation:
        training_args.fit_sizes(num_rows)
    has_vote = "vote" in script_args.reward_funcs
    number = launch.num_processes
    work = WorkPlan.from_config(training_args, num_rows, script_args.num_votes, number, has_vote=has_vote)
    return Plan(str(model_args.model_name_or_path), origin, ModelSize.of(model), setup, work, len(seeds), notes)


def warnings_of(plan: Plan) -> list[str]:
    """What speaks against the plan."""
    found = []
    setup, phases = plan.setup, plan.phases
    phase = max(phases, key=lambda name: phases[name].total)
    need = phases[phase].total
    if need > 0.9 * setup.device_bytes:
        word = "more than" if need > setup.device_bytes else "close to"
        is_gathered = setup.sharding == "fsdp2" and phase == "scoring"
        remedies = [
            ""
            if setup.sharding in ("fsdp2", "zero3")
            else "shard the model (accelerate_configs/fsdp2.yaml, deepspeed_zero3.yaml)",
            "" if plan.model.is_adapted else "train an adapter (--use_peft)",
            "" if plan.work.micro_batch_size == 1 else "lower --per_device_train_batch_size",
            "lower --vllm_gpu_memory_utilization" if setup.vllm_share and phase == "rollout" else "",
            "set --vllm_enable_sleep_mode" if setup.vllm_share and not setup.does_vllm_sleep else "",
            "use DeepSpeed ZeRO-3, which does not gather the reference whole" if is_gathered else "",
            "use more processes" if setup.sharding != "ddp" and not is_gathered else "",
        ]
        found.append(
            f"{phase} needs about {readable(need)}, {word} the {readable(setup.device_bytes)} of a device: "
            f"{', or '.join(filter(None, remedies))}."
        )
    if setup.vllm_share:
        inside = vllm_memory(plan.model, setup, plan.work)
        if inside["rows at once"] < 1:
            found.append(
                f"vLLM's share of {readable(setup.vllm_share * setup.device_bytes)} has no room for its weights "
                f"({readable(inside['weights'])}) and one completion: raise --vllm_gpu_memory_utilization or "
                "--vllm_tensor_parallel_size."
            )
    return found


def print_plan(plan: Plan) -> None:
    """Prints the plan on standard output, its warnings last."""
    work, model, setup = plan.work, plan.model, plan.setup
    phases = plan.phases

    def line(name: str, value: str, note: str = "") -> None:
        print(f"  {name:<34} {value:>14}  {note}".rstrip())

    print(f"Plan of a run of {plan.name} ({plan.origin}); nothing is trained or written.")
    line("parameters", f"{model.num_parameters:,}", f"{model.num_trainable:,} are trained")
    line("processes", f"{setup.num_processes}", f"{setup.sharding}, {'bfloat16' if setup.is_bf16 else 'float32'}")
    print("Work")
    line("iterations", f"{work.num_iterations:g}")
    line("optimiser steps", f"{work.num_steps:,}", f"{work.num_steps_per_iteration:,} an iteration")
    line("warm-up steps", f"{work.num_warmup_steps:,}")
    line(
        "generation batches", f"{work.num_batches:,}", f"of {work.num_groups} prompts x {work.group_size} completions"
    )
    if work.num_wanted:
        line("seeds", f"{plan.num_seeds:,}")
        number = work.num_instructions_per_iteration
        line("instructions an iteration", f"{number:,}", f"by at most {work.max_replies_per_iteration:,} replies")
    line("rounds of refill a batch, at most", f"{work.max_refill_rounds}")
    line("rollouts to train on, at most", f"{work.num_trained:,}")
    line("rollouts, at most", f"{work.max_rollouts:,}")
    expected = work.expected_candidates() * work.num_votes
    if work.max_refill_rounds:
        note = f"if {ACCEPTED:.0%} of groups are kept; {work.expected_filled():.0%} of a batch is trained on"
        line("rollouts, expected", f"{expected:,.0f}", note)
    if work.ahead:
        line("rollouts ahead, expected", f"{work.expected_rollouts_ahead():,.0f}", f"if {ACCEPTED:.0%} are kept")
    line("generated tokens, at most", f"{work.max_generated_tokens:,}", f"{work.max_completion_length:,} a completion")
    line("written tokens, at most", f"{work.max_written_tokens:,}", f"{work.max_instruction_length:,} a reply")
    print(f"Completions through the model, each with its prompt of {setup.prompt_tokens:,} tokens")
    for kind, number in work.passes.items():
        line(kind, f"{number:,}")
    line("floating-point operations, at most", f"{work.flops(model.num_parameters, setup.prompt_tokens):.1e}")
    print(f"Memory of a process (device: {readable(setup.device_bytes)})")
    print("  " + " " * 34 + "".join(f"{name:>14}" for name in phases))
    for part in dict.fromkeys(part for phase in phases.values() for part in phase.parts):
        row = [phase.parts.get(part, 0.0) for phase in phases.values()]
        if any(row):
            print(f"  {part:<34}" + "".join(f"{readable(value) if value else '':>14}" for value in row))
    print(f"  {'together':<34}" + "".join(f"{readable(phase.total):>14}" for phase in phases.values()))
    if setup.vllm_share:
        inside = vllm_memory(model, setup, work)
        cache = f"KV cache {readable(max(0.0, inside['KV cache']))}, {inside['rows at once']:.0f} completions at once"
        line("vLLM: weights", readable(inside["weights"]), cache)
    if setup.num_processes > 1:
        print("Sent by a process")
        for what, amount in communication(model, setup, work).items():
            line(what, readable(amount))
    print("A checkpoint on the disk")
    parts = checkpoint_bytes(model, setup, work)
    line(
        "together",
        readable(sum(parts.values())),
        ", ".join(f"{n} {readable(b)}" for n, b in parts.items() if b),
    )
    for note in plan.notes:
        print(f"note: {note}")
    for warning in warnings_of(plan):
        print(f"warning: {warning}")


def show_plan(
    plan_args: PlanArguments, script_args: SeRLScriptArguments, training_args: SeRLConfig, model_args: ModelConfig
) -> None:
    """Prints the plan, on one process."""
    plan = make_plan(script_args, training_args, model_args, plan_args)
    if PartialState().is_main_process:
        print_plan(plan)


def main(flags: list[str]) -> None:
    """`serl-trl plan`: the flags of `serl-trl train`, as a dry run."""
    from .train import main as train  # which imports this module

    train([*flags, "--dry_run", "true"])


if __name__ == "__main__":
    main(sys.argv[1:])

"""Text from the policy through TRL's own generation, whatever its backend: sharded over processes, then gathered."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from accelerate.utils import gather_object
from trl.models import unwrap_model_for_generation

from ..prompts import writing
from ..runtime import isolated_random_state, share_of, swapped
from ..types import Prompt, Reply, Rollout


@contextmanager
def whole_model(trainer: Any) -> Iterator[Any]:
    """
    The policy without wrappers, to generate with, in the precision in which it is trained.

    Before training nothing has been wrapped yet, so autocast is on for the whole block. Under ZeRO-3 all of the parameters are
    on every process meanwhile.
    """
    kwargs = trainer.args.gradient_checkpointing_kwargs
    with (
        trainer.accelerator.autocast(),
        unwrap_model_for_generation(
            trainer.model_wrapped, trainer.accelerator, gradient_checkpointing_kwargs=kwargs
        ) as model,
    ):
        yield model


@contextmanager
def policy_writing(trainer: Any) -> Iterator[None]:
    """
    Has TRL generate by the rules of writing, in the precision in which the policy is trained.

    TRL leaves dropout on, Transformers fills what TRL does not set from the checkpoint, and continuous batching ends in train
    mode: [`~decoding.writing`] mends all three. And `generate` of an adapter calls the forward of its base, which accelerate
    has not wrapped: without autocast, rollouts would be in float32 where training and evaluation compute in bfloat16.
    """
    autocast = nullcontext() if trainer.use_vllm else trainer.accelerator.autocast()
    with writing(trainer.accelerator.unwrap_model(trainer.model)), autocast:
        yield


def sampling_seed(trainer: Any, seed: int) -> int:
    """A seed of its own for each process; for those that share a vLLM engine one, since each draws the same tokens there."""
    args, rank = trainer.args, trainer.accelerator.process_index
    is_shared = args.use_vllm and args.vllm_mode == "colocate"
    return seed + (rank // args.vllm_tensor_parallel_size if is_shared else rank)


def written_replies(trainer: Any, prompts: list[Prompt], seed: int) -> list[Reply]:
    """
    One reply for each prompt, the same on every process; moves no random state and logs nothing.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy writes, with its sampling settings for instructions.
        prompts (`list[Prompt]`): The requests, the same on every process.
        seed (`int`): Seeds the sampling.

    Returns:
        `list[Reply]`: As long as `prompts`.
    """
    accelerator, tokenizer = trainer.accelerator, trainer._tokenizer
    local, _ = share_of(prompts, accelerator.num_processes, accelerator.process_index)
    with (
        isolated_random_state(sampling_seed(trainer, seed)),
        _sampling(
            trainer,
            temperature=trainer.args.instruction_temperature,
            top_p=trainer.args.instruction_top_p,
            presence_penalty=trainer.args.instruction_presence_penalty,
            max_length=trainer.args.max_instruction_length,
        ),
    ):
        prompt_ids, images, fields = trainer._tokenize_prompts(local)
        completion_ids, _ = trainer._generate_single_turn(prompt_ids, images, fields, num_generations=1)
    # TRL counts the tokens of rollouts; these it does not see
    num_tokens = torch.tensor(sum(map(len, [*prompt_ids, *completion_ids])), device=accelerator.device)
    trainer.state.num_input_tokens_seen += int(accelerator.reduce(num_tokens, reduction="sum"))
    ends = {*trainer.eos_token_ids, tokenizer.pad_token_id}
    texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    replies = [Reply(text, ids[-1] not in ends) for text, ids in zip(texts, completion_ids, strict=True)]
    return gather_object(replies)[: len(prompts)]


@contextmanager
def greedy_sampling(trainer: Any) -> Iterator[None]:
    """Has rollouts be the likeliest completions for the length of a block."""
    if trainer.use_vllm:
        length = trainer.args.max_completion_length
        with _sampling(trainer, temperature=0.0, top_p=1.0, presence_penalty=0.0, max_length=length):
            yield
    else:
        greedy = {"do_sample": False}
        kwargs = trainer.generation_kwargs | greedy
        with swapped(trainer.generation_config, **greedy), swapped(trainer, generation_kwargs=kwargs):
            yield


@contextmanager
def _sampling(
    trainer: Any, *, temperature: float, top_p: float, presence_penalty: float, max_length: int
) -> Iterator[None]:
    """Puts other sampling settings in the place of those for rollouts."""
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
    with ExitStack() as stack:
        if trainer.use_vllm:
            engine = trainer.vllm_generation
            kwargs = engine.generation_kwargs | {"presence_penalty": presence_penalty}
            length = {"max_completion_length": max_length}
            stack.enter_context(swapped(engine, **sampling, **length, generation_kwargs=kwargs))
        else:
            sampling["max_new_tokens"] = max_length
            stack.enter_context(swapped(trainer.generation_config, **sampling))
            stack.enter_context(swapped(trainer, generation_kwargs=trainer.generation_kwargs | sampling))
        yield


def rollouts(trainer: Any, prompts: list[Prompt]) -> tuple[list[list[Rollout]], int]:
    """
    G rollouts of each prompt, the same on every process.

    TRL logs the lengths of all that it generates; here it logs nothing, for what is trained on is only decided afterwards.
    It counts the tokens, though.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy answers, with its sampling settings for rollouts.
        prompts (`list[Prompt]`): The prompts, at least one, the same on every process.

    Returns:
        `tuple[list[list[Rollout]], int]`: A group for each prompt, and the number of completions generated: where the rows
        do not divide among the processes, the first ones are generated again and left out.
    """
    accelerator, size = trainer.accelerator, trainer.num_generations
    rows = [prompt for prompt in prompts for _ in range(size)]
    local, num_padding = share_of(rows, accelerator.num_processes, accelerator.process_index)
    unlogged: dict[str, defaultdict] = {mode: defaultdict(list) for mode in trainer._metrics}
    # A vLLM server is asked once for a whole group; padding breaks the last one, and then each row is asked for.
    with swapped(trainer, _metrics=unlogged, num_generations=1 if num_padding else size):
        _, completion_ids, _, completions, logprobs, *_ = trainer._generate(local)
    own = zip(completion_ids, logprobs or [None] * len(local), completions, strict=True)
    everyone = gather_object([Rollout(*row) for row in own])
    return [everyone[i : i + size] for i in range(0, len(rows), size)], len(rows) + num_padding

"""Text from the policy through TRL's own generation, whatever its backend: sharded over processes, then gathered."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from accelerate.utils import gather_object
from trl.chat_template_utils import parse_response
from trl.models import unwrap_model_for_generation

from ..prompts import row_uniforms, writing
from ..runtime import isolated_random_state, share_of, temporarily_set
from ..types import Completion, Prompt, Reply, Rollout
from .policy import Policy


@contextmanager
def whole_model(policy: Policy) -> Iterator[Any]:
    """
    The policy without wrappers, to generate with, in the precision in which it is trained.

    Before training nothing has been wrapped yet, so autocast is on for the whole block. Under ZeRO-3 all of the parameters are
    on every process meanwhile.
    """
    kwargs = policy.args.gradient_checkpointing_kwargs
    with (
        policy.accelerator.autocast(),
        unwrap_model_for_generation(
            policy.model_wrapped, policy.accelerator, gradient_checkpointing_kwargs=kwargs
        ) as model,
    ):
        yield model


@contextmanager
def policy_writing(policy: Policy, uniforms: torch.Tensor | None = None) -> Iterator[None]:
    """
    Has TRL generate by the rules of writing, in the precision in which the policy is trained.

    TRL leaves dropout on, Transformers fills what TRL does not set from the checkpoint, and continuous batching ends in train
    mode: [`~decoding.writing`] mends all three. And `generate` of an adapter calls the forward of its base, which accelerate
    has not wrapped: without autocast, rollouts would be in float32 where training and evaluation compute in bfloat16.
    """
    autocast = nullcontext() if policy.use_vllm else policy.accelerator.autocast()
    with writing(policy.accelerator.unwrap_model(policy.model), uniforms), autocast:
        yield


def sampling_seed(policy: Policy, seed: int) -> int:
    """A seed of its own for each process; for those that share a vLLM engine one, since each draws the same tokens there."""
    args, rank = policy.args, policy.accelerator.process_index
    is_shared = args.use_vllm and args.vllm_mode == "colocate"
    return seed + (rank // args.vllm_tensor_parallel_size if is_shared else rank)


def written_replies(policy: Policy, prompts: list[Prompt], seed: int) -> list[Reply]:
    """
    One reply for each prompt, the same on every process; moves no random state and logs nothing.

    Rows keep their numbers among all requests on whatever process they are written. Where Transformers generates, these
    decide on what is drawn, and prompts of like length are written together.

    Args:
        policy ([`Policy`]): Who writes, with its sampling settings for instructions.
        prompts (`list[Prompt]`): The requests, the same on every process.
        seed (`int`): Seeds the sampling.

    Returns:
        `list[Reply]`: As long as `prompts`.
    """
    accelerator, tokenizer = policy.accelerator, policy.decoding.tokenizer
    local, _ = share_of(list(enumerate(prompts)), accelerator.num_processes, accelerator.process_index)
    with (
        isolated_random_state(sampling_seed(policy, seed)),
        _sampling(
            policy,
            temperature=policy.args.instruction_temperature,
            top_p=policy.args.instruction_top_p,
            presence_penalty=policy.args.instruction_presence_penalty,
            max_length=policy.args.max_instruction_length,
        ),
    ):
        uniforms = torch.stack([row_uniforms(seed, row, policy.args.max_instruction_length) for row, _ in local])
        _, completion_ids, _ = _completed(policy, [prompt for _, prompt in local], 1, uniforms)
    ends = {*policy.eos_token_ids, tokenizer.pad_token_id}
    texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    replies = [
        (row, Reply(text, ids[-1] not in ends))
        for (row, _), text, ids in zip(local, texts, completion_ids, strict=True)
    ]
    # Rows that fill up the last share are there twice: the first reply stands.
    by_row = dict(reversed(gather_object(replies)))
    return [by_row[row] for row in range(len(prompts))]


def _completed(
    policy: Policy, prompts: list[Prompt], num_generations: int, uniforms: torch.Tensor | None = None
) -> tuple[list[list[int]], list[list[int]], list | None]:
    """
    Token ids of this process's prompts, those of a completion of each, and its log-probabilities if the backend has them.

    The tokens are counted as TRL counts those of the rollouts that it generates itself.

    Args:
        policy ([`Policy`]): Who answers.
        prompts (`list[Prompt]`): The prompts, each repeated for its completions.
        num_generations (`int`): How many equal prompts follow one another; a vLLM server is asked once for all of them.
        uniforms (`torch.Tensor`, *optional*): As of [`Policy.complete`].
    """
    prompt_ids = policy.decoding.prompt_ids(prompts)
    completion_ids, logprobs = policy.complete(prompt_ids, num_generations, uniforms)
    num_tokens = torch.tensor(sum(map(len, [*prompt_ids, *completion_ids])), device=policy.accelerator.device)
    policy.state.num_input_tokens_seen += int(policy.accelerator.reduce(num_tokens, reduction="sum"))
    return prompt_ids, completion_ids, logprobs


@contextmanager
def greedy_sampling(policy: Policy) -> Iterator[None]:
    """Has rollouts be the likeliest completions for the length of a block."""
    if policy.use_vllm:
        length = policy.args.max_completion_length
        with _sampling(policy, temperature=0.0, top_p=1.0, presence_penalty=0.0, max_length=length):
            yield
    else:
        greedy = {"do_sample": False}
        kwargs = policy.generation_kwargs | greedy
        with temporarily_set(policy.generation_config, **greedy), temporarily_set(policy, generation_kwargs=kwargs):
            yield


@contextmanager
def _sampling(
    policy: Policy, *, temperature: float, top_p: float, presence_penalty: float, max_length: int
) -> Iterator[None]:
    """Puts other sampling settings in the place of those for rollouts."""
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
    with ExitStack() as stack:
        if policy.use_vllm:
            engine = policy.vllm_generation
            kwargs = engine.generation_kwargs | {"presence_penalty": presence_penalty}
            length = {"max_completion_length": max_length}
            stack.enter_context(temporarily_set(engine, **sampling, **length, generation_kwargs=kwargs))
        else:
            sampling["max_new_tokens"] = max_length
            stack.enter_context(temporarily_set(policy.generation_config, **sampling))
            stack.enter_context(temporarily_set(policy, generation_kwargs=policy.generation_kwargs | sampling))
        yield


def rollouts(
    policy: Policy, prompts: list[Prompt], num_generations: int | None = None
) -> tuple[list[list[Rollout]], int]:
    """
    A group of rollouts for each prompt, the same on every process.

    Nothing is logged, for what is trained on is only decided afterwards. The tokens are counted, though.

    Args:
        policy ([`Policy`]): Who answers, with its sampling settings for rollouts.
        prompts (`list[Prompt]`): The prompts, at least one, the same on every process.
        num_generations (`int`, *optional*): Rollouts of each; by default those of a group.

    Returns:
        `tuple[list[list[Rollout]], int]`: A group for each prompt, and the number of completions generated: where the rows
        do not divide among the processes, the first ones are generated again and left out.
    """
    accelerator, size = policy.accelerator, num_generations or policy.num_generations
    rows = [prompt for prompt in prompts for _ in range(size)]
    local, num_padding = share_of(rows, accelerator.num_processes, accelerator.process_index)
    # padding breaks the last group, and then a vLLM server is asked for each row
    prompt_ids, completion_ids, logprobs = _completed(policy, local, 1 if num_padding else size)
    completions = _decoded(policy, local, prompt_ids, completion_ids)
    own = zip(completion_ids, logprobs or [None] * len(local), completions, strict=True)
    everyone = gather_object([Rollout(*row) for row in own])
    return [everyone[i : i + size] for i in range(0, len(rows), size)], len(rows) + num_padding


def _decoded(
    policy: Policy, prompts: list[Prompt], prompt_ids: Sequence[list[int]], completion_ids: Sequence[list[int]]
) -> list[Completion]:
    """The texts of completions as TRL hands them to a reward: a text for a text, messages for messages."""
    tokenizer = policy.decoding.tokenizer
    if isinstance(prompts[0], str):
        return tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    if getattr(tokenizer, "response_template", None) or getattr(tokenizer, "response_schema", None):
        pairs = zip(prompt_ids, completion_ids, strict=True)
        return [[parse_response(tokenizer, ids, prefix=prefix)] for prefix, ids in pairs]
    texts = tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    return [[{"role": "assistant", "content": text}] for text in texts]

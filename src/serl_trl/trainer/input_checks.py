"""What is wrong with prompts, datasets and settings together, found before any weight is loaded."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasets import Dataset, IterableDataset
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from ..instructions import SelfInstructDataset
from ..prompts import Decoding, prompts_of, shown
from ..types import Prompt
from .preflight import check_vllm
from .quantization import check_quantization
from .serl_config import SeRLConfig
from .trainable import check_trainable


if TYPE_CHECKING:
    from peft import PeftModel


logger = logging.getLogger(__name__)


# Prompts and tokenizer -----------------------------------------------------------------------------------------------


def check_rendering(
    prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase, chat_template_kwargs: dict[str, Any] | None = None
) -> None:
    """
    Has the chat template render one prompt of each shape: templates refuse roles, or their order, not what is said.

    Args:
        prompts (`Sequence[Prompt]`): As the policy is asked; texts need no template.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): With the chat template.
        chat_template_kwargs (`dict[str, Any]`, *optional*): As in [`~trl.GRPOConfig`].

    Raises:
        ValueError: If there is no chat template, or it refuses.
    """
    shapes: dict[tuple, list[dict[str, str]]] = {}
    for prompt in prompts:
        if not isinstance(prompt, str):
            shapes.setdefault(tuple((message["role"], *sorted(message)) for message in prompt), prompt)
    if shapes and not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            f"The prompts are messages, such as {shown(next(iter(shapes.values())))}, and the tokenizer has no chat template. "
            "Give them as text, or take a tokenizer with one."
        )
    decoding = _decoding(tokenizer, chat_template_kwargs)
    for messages in shapes.values():
        try:
            decoding.prompt_ids([messages])
        except Exception as error:  # templates raise jinja's errors, and whatever Python raises in them
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            roles = [message["role"] for message in messages]
            has_system = "system" in roles
            remedy = "Put the system text into the user's turn" if has_system else "Give turns that it takes"
            raise ValueError(
                f"The chat template cannot render prompts with the turns {', '.join(roles)} ({reason}), such as "
                f"{shown(messages)}. {remedy}, or take a tokenizer with another template."
            ) from None


def check_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    """
    Raises where nothing could fill up the shorter rows of a batch.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Of which TRL takes the pad token, else the end token.

    Raises:
        ValueError: If it has neither.
    """
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if tokenizer.pad_token is None and tokenizer.eos_token is None:
        raise ValueError(
            f"The tokenizer {tokenizer.name_or_path or type(tokenizer).__name__} has pad_token=None and eos_token=None, and "
            "batches need one of them. Set tokenizer.pad_token to a token of its own, and pass it as processing_class or save "
            "it with the model."
        )


def check_lengths(
    prompts: Sequence[Prompt],
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    max_completion_length: int | None = None,
    chat_template_kwargs: dict[str, Any] | None = None,
) -> None:
    """
    Compares prompts with the context of the model; warns if the longest answer would go beyond it.

    Args:
        prompts (`Sequence[Prompt]`): As the policy is asked, all of which the template renders.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): The tokenizer.
        context (`int`): Most tokens of a prompt and its answer.
        max_completion_length (`int`, *optional*): Most tokens of an answer.
        chat_template_kwargs (`dict[str, Any]`, *optional*): As in [`~trl.GRPOConfig`].

    Raises:
        ValueError: If a prompt alone fills the context.
    """
    longest, decoding = 0, _decoding(tokenizer, chat_template_kwargs)
    for i in may_be_long(prompts, context - (max_completion_length or 0)):
        prompt, number = prompts[i], len(decoding.prompt_ids([prompts[i]])[0])
        if number >= context:
            raise ValueError(
                f"Prompt {i}, {shown(prompt)}, has {number} tokens, and the model's context of {context} has no room for an "
                "answer. Leave it out, or take a model with a longer context."
            )
        longest = max(longest, number)
    if max_completion_length is not None and longest + max_completion_length > context:
        logger.warning(
            f"The longest prompt has {longest} tokens, so that with max_completion_length={max_completion_length} its answer "
            f"can go beyond the model's context of {context}. max_completion_length={context - longest} would fit."
        )


def _decoding(tokenizer: PreTrainedTokenizerBase, chat_template_kwargs: dict[str, Any] | None) -> Decoding:
    """The rules by which prompts become tokens; where text ends does not matter here."""
    return Decoding(getattr(tokenizer, "tokenizer", tokenizer), (), chat_template_kwargs or {})


def may_be_long(prompts: Sequence[Prompt], num_tokens: int) -> list[int]:
    """Places of prompts that may have so many tokens: a token is at least a byte, and a template adds half as much."""
    return [
        i
        for i, prompt in enumerate(prompts)
        if 2 * sum(len(text.encode("utf-8", "replace")) for text in _texts(prompt)) >= num_tokens
    ]


def _texts(prompt: Prompt) -> list[str]:
    return [prompt] if isinstance(prompt, str) else [str(message["content"] or "") for message in prompt]


# What a trainer is given ---------------------------------------------------------------------------------------------


def checked_arguments(
    model: "str | PreTrainedModel | PeftModel",
    args: SeRLConfig | None,
    train_dataset: Dataset | SelfInstructDataset,
    kwargs: dict[str, Any],
) -> tuple[SeRLConfig, Any, dict[str, Any]]:
    """
    Configuration, training data and further arguments of a [`SeRLTrainer`], once all is found to fit.

    Args:
        model (`str` or [`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The model, or where it is.
        args ([`SeRLConfig`], *optional*): By default `SeRLConfig("<model>-SeRL")`.
        train_dataset ([`~datasets.Dataset`] or [`SelfInstructDataset`]): The seeds, or the slots.
        kwargs (`dict[str, Any]`): The other arguments of [`~trl.GRPOTrainer`].

    Raises:
        ValueError: For whatever does not fit, before any weight is loaded.
        ImportError: If `use_vllm` is set and vLLM is missing or not one that TRL can drive.
    """
    check_supported(train_dataset, kwargs)
    check_quantization(kwargs.get("quantization_config"))
    check_quantization(_model_init_kwargs(args).get("quantization_config") if args is not None else None)
    if args is None:
        model_id = model if isinstance(model, str) else str(model.config.name_or_path)
        args = SeRLConfig(f"{model_id.split('/')[-1]}-SeRL")
    check_vllm(args)
    if not isinstance(model, str) and kwargs.get("peft_config") is None:
        check_trainable(model)
    if args.self_instruct and isinstance(train_dataset, Dataset):
        train_dataset = SelfInstructDataset.from_config(train_dataset, args)
    tokenizer = kwargs.get("processing_class")
    train_dataset, eval_dataset = checked_datasets(train_dataset, kwargs.get("eval_dataset"), args, model, tokenizer)
    return args, train_dataset, {**kwargs, "eval_dataset": eval_dataset}


def check_supported(train_dataset: Dataset | SelfInstructDataset, kwargs: dict[str, Any]) -> None:
    """Raises a ValueError for arguments of TRL's trainer that votes cannot be taken with, and for what is no dataset of prompts."""
    for name in ("tools", "rollout_func", "environment_factory"):
        if kwargs.get(name):
            raise ValueError(f"SeRLTrainer does not support {name}: votes are taken over single-turn completions.")
    if isinstance(train_dataset, IterableDataset):
        raise ValueError(
            "train_dataset is a streaming dataset; pass a map-style Dataset, for example by load_dataset()."
        )
    if not isinstance(train_dataset, Dataset | SelfInstructDataset):
        raise ValueError(
            f"train_dataset is a {type(train_dataset).__name__}; pass a datasets.Dataset with a column 'prompt', or a "
            "SelfInstructDataset."
        )


def checked_datasets(
    train_dataset: Dataset | SelfInstructDataset,
    eval_dataset: Dataset | dict[str, Dataset] | None,
    args: SeRLConfig,
    model: "str | PreTrainedModel | PeftModel",
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> tuple[Any, Any]:
    """
    The datasets of a trainer, in the one form in which everything else takes prompts, once all is found to fit.

    Args:
        train_dataset (`Dataset` or [`SelfInstructDataset`]): What is trained on.
        eval_dataset (`Dataset` or `dict[str, Dataset]`, *optional*): As TRL takes it.
        args ([`SeRLConfig`]): Its sizes are fitted to the number of prompts.
        model (`str` or [`~transformers.PreTrainedModel`]): The model, or where it is.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`], *optional*): Default: the model's, loaded if it is needed.

    Raises:
        ValueError: If a prompt is none, cannot be rendered or fills the context, there are fewer prompts than a generation
            batch holds, or nothing to evaluate on.
    """
    if eval_dataset is None and args.do_eval and args.eval_strategy != "no":
        raise ValueError(
            f"eval_strategy={str(getattr(args.eval_strategy, 'value', args.eval_strategy))!r} evaluates on an eval_dataset, and there is none; give one, or "
            "leave eval_strategy unset."
        )
    if isinstance(train_dataset, SelfInstructDataset):
        prompts = train_dataset.seed_prompts()
    else:
        train_dataset, prompts = _in_one_form(train_dataset, "Prompt")
    if len(train_dataset) < args.num_prompts_per_generation:
        args.fit_sizes(len(train_dataset))
    parts = dict(eval_dataset) if isinstance(eval_dataset, dict) else {"": eval_dataset}
    for name, part in parts.items():
        if isinstance(part, Dataset):  # a streaming one is read as it is evaluated
            parts[name], found = _in_one_form(part, "Evaluation prompt")
            prompts = [*prompts, *found]
    _check_prompts(prompts, args, model, tokenizer)
    return train_dataset, parts if isinstance(eval_dataset, dict) else parts[""]


def _in_one_form(dataset: Dataset, name: str) -> tuple[Dataset, list[Prompt]]:
    """The dataset with its prompts as [`~prompts.as_prompt`] has them: templates of text models take no content blocks."""
    prompts = prompts_of(dataset, name)
    messages = (message for value in dataset["prompt"] if not isinstance(value, str) for message in value)
    if any(isinstance(message["content"], list) for message in messages):
        dataset = dataset.remove_columns("prompt").add_column("prompt", prompts)
    return dataset, prompts


def _check_prompts(
    prompts: list[Prompt],
    args: SeRLConfig,
    model: "str | PreTrainedModel | PeftModel",
    tokenizer: PreTrainedTokenizerBase | None,
) -> None:
    context, length = context_of(model, args), args.max_completion_length
    is_chat = any(not isinstance(prompt, str) for prompt in prompts)
    is_long = context is not None and bool(may_be_long(prompts, context - (length or 0)))
    tokenizer = tokenizer if tokenizer is not None else _tokenizer_of(model, args)
    if tokenizer is None:
        return  # TRL says what is wrong with the model
    check_padding(tokenizer)
    if not (is_chat or is_long):
        return
    template_kwargs = args.chat_template_kwargs if isinstance(args.chat_template_kwargs, dict) else None  # parsed
    check_rendering(prompts, tokenizer, template_kwargs)
    if is_long and context is not None:
        check_lengths(prompts, tokenizer, context, length, template_kwargs)


def context_of(model: "str | PreTrainedModel | PeftModel", args: SeRLConfig) -> int | None:
    """Most tokens of a prompt and its answer, by the model's configuration and vLLM's; none if that is not to be had."""
    try:
        config = AutoConfig.from_pretrained(model, **_source(args)) if isinstance(model, str) else model.config
    except (OSError, ValueError):
        return None  # TRL says what is wrong with the model
    limits = [getattr(config.get_text_config(), "max_position_embeddings", None)]
    limits += [args.vllm_max_model_length] if args.use_vllm else []
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=None)


def _tokenizer_of(model: "str | PreTrainedModel | PeftModel", args: SeRLConfig) -> PreTrainedTokenizerBase | None:
    name = model if isinstance(model, str) else getattr(model.config, "name_or_path", "")
    try:
        return AutoTokenizer.from_pretrained(name, **_source(args)) if name else None
    except (OSError, ValueError):
        return None


def _model_init_kwargs(args: SeRLConfig) -> dict[str, Any]:
    """As the configuration has parsed them."""
    return args.model_init_kwargs if isinstance(args.model_init_kwargs, dict) else {}


def _source(args: SeRLConfig) -> dict[str, Any]:
    revision = _model_init_kwargs(args).get("revision")
    return {"trust_remote_code": args.trust_remote_code, **({"revision": revision} if revision else {})}

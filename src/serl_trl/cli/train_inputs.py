"""What commands work on: prompts, labelled problems, templates and models, each loaded by what the user named."""

import os
from pathlib import Path
from typing import Any

import pyarrow
import torch
import yaml
from datasets import Dataset, load_dataset
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from trl import ModelConfig

from ..laboratory import CHECKPOINT, word_problems
from ..prompts import PROMPT_FIELDS, PromptTemplate, instruction_text, prompts_of_rows, put_to_policy
from ..runtime import Rows, read_rows
from ..trainer import SeRLConfig, check_rendering, check_vllm
from .fetch_model import folder_of
from .named_files import MODEL_ALIASES, template_file
from .packaged_models import packaged_models
from .train_arguments import SeRLScriptArguments
from .write_arguments import GenerationArguments


def use_cores(num_processes: int) -> None:
    """
    Gives PyTorch the cores that this process may use, shared with the others.

    Where the user has set OMP_NUM_THREADS, the threads stay as many as it says. In processes that accelerate has started
    it is the launcher that sets it, to 1, which is not taken for the user's.
    """
    if "OMP_NUM_THREADS" in os.environ and "LOCAL_RANK" not in os.environ:
        return
    # macOS cannot bind processes to cores
    num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, num_cores // num_processes))


def check_num_votes(script_args: SeRLScriptArguments, training_args: SeRLConfig) -> None:
    """Raises a ValueError where fewer are to vote than are in a group."""
    if script_args.num_votes is not None and script_args.num_votes < (training_args.num_generations or 0):
        size = f"--num_generations {training_args.num_generations}"
        raise ValueError(f"--num_votes {script_args.num_votes} is below {size}; raise it, or leave it out.")


def check_eval_strategy(training_args: Any) -> None:
    """Raises a ValueError where TRL's own evaluation is asked for: it needs an eval_dataset, and commands measure by themselves."""
    strategy = str(training_args.eval_strategy.value)
    if strategy != "no":
        raise ValueError(
            f"--eval_strategy {strategy} evaluates on an eval_dataset, which commands have none of; leave it out, and measure with "
            "--eval_file and --eval_every of `serl-trl train`."
        )


def load_seeds(script_args: SeRLScriptArguments | GenerationArguments, training_args: SeRLConfig) -> Dataset:
    """
    The prompts, in a column `prompt`. Without self-instruction `answer` is kept: the votes are measured by it.

    Raises:
        ValueError: If there are none, one is no prompt, or there are fewer different ones than a request shows.
    """
    if script_args.seed_file:
        origin = script_args.seed_file
        rows = read_rows(origin, PROMPT_FIELDS)
    elif script_args.dataset_name:
        origin = script_args.dataset_name
        try:
            split = script_args.dataset_train_split
            rows = Rows(load_dataset(origin, script_args.dataset_config, split=split).to_list())
        except (OSError, ValueError) as error:
            raise ValueError(
                f"--dataset_name {origin} cannot be loaded ({str(error).splitlines()[0]}). Check it together with "
                "--dataset_config and --dataset_train_split, or give prompts with --seed_file."
            ) from None
    else:
        origin = "the laboratory"
        rows = Rows(word_problems(script_args.num_seeds or 200, "seeds").to_list())
    prompts = prompts_of_rows(rows, origin)
    answers = [None if row.get("answer") is None else str(row["answer"]) for row in rows]
    if "truth" in script_args.reward_funcs and (training_args.self_instruct or None in answers):
        raise ValueError(
            f"--reward_funcs truth needs a field 'answer' in every row of {origin}, and --self_instruct false: "
            "instructions that the model writes have no known answer."
        )
    columns: dict[str, list[Any]] = {"prompt": prompts}
    if not training_args.self_instruct and any(answers):
        columns["answer"] = answers
    try:
        seeds = Dataset.from_dict(columns)
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"The messages of {origin} do not go into one table ({str(error).splitlines()[0]}): give each field of a message, "
            "besides 'role' and 'content', the same type in all."
        ) from None
    if script_args.num_seeds is not None:
        seeds = seeds.shuffle(seed=training_args.seed).select(range(min(script_args.num_seeds, len(seeds))))
    num_different = len({instruction_text(prompt) for prompt in seeds["prompt"]})
    if training_args.self_instruct and num_different < training_args.num_few_shot:
        different = "" if num_different == len(seeds) else f", {num_different} of them different"
        raise ValueError(
            f"{origin} has {len(seeds)} prompts{different}, fewer than the {training_args.num_few_shot} shown when a new one is "
            "asked for; add prompts or lower --num_few_shot."
        )
    return seeds


def load_template(path: str | None, tokenizer: PreTrainedTokenizerBase) -> PromptTemplate | None:
    """The prompt template of a YAML file, or the default for this tokenizer."""
    if path is None:
        return PromptTemplate() if tokenizer.chat_template else None
    path = template_file(path)
    try:
        return PromptTemplate(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (TypeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} is no prompt template ({error}); its keys are 'user', 'system', 'examples', 'continues_list'."
        ) from None


def source_of(model_args: ModelConfig, training_args: SeRLConfig, *, may_fetch: bool = True) -> dict[str, Any]:
    """What `from_pretrained` is given for config, tokenizer and weights of the model; raises as [`path_of`]."""
    return {
        "pretrained_model_name_or_path": path_of(str(model_args.model_name_or_path), may_fetch=may_fetch),
        "revision": model_args.model_revision,
        "trust_remote_code": training_args.trust_remote_code,
    }


def path_of(name: str, *, may_fetch: bool = True) -> str:
    """
    What `from_pretrained` is given for a model that the user named: a folder for one of `MODEL_ALIASES`, else the name.

    Args:
        name (`str`): The name, an id on the Hub, or a folder.
        may_fetch (`bool`, *optional*, defaults to `True`): As for `folder_of`.

    Raises:
        ValueError: If it is one in packages that is not fetched yet and cannot be.
    """
    if name == "tiny":
        return str(CHECKPOINT)
    return folder_of(name, may_fetch=may_fetch) if name in packaged_models() else name


def load_tokenizer(model_args: ModelConfig, training_args: SeRLConfig) -> Any:
    """The policy's tokenizer, without which no prompt can be checked; says what is wrong if there is no such model or vLLM."""
    check_vllm(training_args)
    source = source_of(model_args, training_args)
    name = source["pretrained_model_name_or_path"]
    try:
        AutoConfig.from_pretrained(**source)
        return AutoTokenizer.from_pretrained(padding_side="left", **source)
    except (OSError, ValueError) as error:
        raise _unloadable(name, "--model_name_or_path", error) from None


def load_model(model_args: ModelConfig, training_args: Any) -> Any:
    """The model's name or folder for TRL to load; [`load_tokenizer`] has said what is wrong with it."""
    training_args.model_init_kwargs = {
        "revision": model_args.model_revision,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        **(training_args.model_init_kwargs or {}),
    }
    return source_of(model_args, training_args)["pretrained_model_name_or_path"]


def check_standalone(name: str, flag: str, prompts: list[Any], template_path: str | None, **kwargs: Any) -> None:
    """
    Loads the tokenizer of a model alone, and has it render the prompts that the model is to get.

    Args:
        name (`str`): As for [`load_standalone`].
        flag (`str`): The flag that names it.
        prompts (`list`): Problems, texts or messages.
        template_path (`str`, *optional*): The prompt template's file.
        **kwargs: For the chat template.

    Raises:
        ValueError: If there is no such model or template, or the chat template refuses.
    """
    path = path_of(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise _unloadable(name, flag, error) from None
    template = load_template(template_path, tokenizer)
    check_rendering([put_to_policy(prompt, template) for prompt in prompts], tokenizer, kwargs)


def load_standalone(name: str, flag: str, dtype: str | None = None) -> tuple[Any, Any]:
    """A model that is not trained, and its tokenizer: an id, a folder (of an adapter, too), or a name of ours."""
    path = path_of(name)
    try:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype or "auto")
        return model, AutoTokenizer.from_pretrained(path, padding_side="left")
    except (OSError, ValueError) as error:
        raise _unloadable(name, flag, error) from None


def _unloadable(name: str, flag: str, error: Exception) -> ValueError:
    return ValueError(
        f"{flag} {name} cannot be loaded ({str(error).splitlines()[0]}). Give the id of a model on the Hugging Face Hub, a "
        f"folder with a model, or one of {', '.join(MODEL_ALIASES)}."
    )

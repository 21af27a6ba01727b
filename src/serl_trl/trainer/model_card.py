"""The model card of a run: where the prompts came from, what was measured, and how the model is used."""

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import TrainingArguments

from ..instructions import read_instructions
from ..prompts import PromptTemplate
from ..types import Prompt


if TYPE_CHECKING:
    from .serl_trainer import SeRLTrainer


PAPER_ID = "2505.20347"
PAPER = textwrap.dedent("""\
    @article{fang2025serl,
        title        = {{SeRL: Self-Play Reinforcement Learning for Large Language Models with Limited Data}},
        author       = {Wenkai Fang and Shunyu Liu and Yang Zhou and Kongcheng Zhang and Tongya Zheng and Kaixuan Chen and Mingli Song and Dacheng Tao},
        year         = 2025,
        eprint       = {arXiv:2505.20347},
    }""")
TRL = textwrap.dedent("""\
    @software{vonwerra2020trl,
        title  = {{TRL: Transformers Reinforcement Learning}},
        author = {von Werra, Leandro and Belkada, Younes and Tunstall, Lewis and Beeching, Edward and Thrush, Tristan and Lambert, Nathan and Huang, Shengyi and Rasul, Kashif and Gallou{\\'e}dec, Quentin},
        url    = {https://github.com/huggingface/trl},
        year   = {2020},
    }""")
PACKAGES = ("serl_trl", "trl", "transformers", "torch", "datasets", "tokenizers", "peft")
TAGS = ("generated_from_trainer", "serl", "trl")
QUESTION = "What is 12 + 30?"  # of the card's example
MERGED_SUFFIX = "-merged"  # of the folder and the repository that hold an adapter merged into its base
SETTINGS = (
    "advantage_estimator",
    "kl_placement",
    "beta",
    "loss_type",
    "num_generations",
    "temperature",
    "top_p",
    "min_vote_share",
    "max_vote_share",
    "num_instructions",
    "num_few_shot",
    "seed_fraction",
    "novelty_threshold",
    "instruction_temperature",
    "learning_rate",
    "lr_scheduler_type",
    "generation_batch_size",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "max_completion_length",
    "seed",
)


@dataclass
class CardFacts:
    """
    What the card of a model says that its trainer cannot know. Set it as `trainer.card_facts`.

    Args:
        seeds (`str`, *optional*): Where the seeds come from, in a few words; never the path of a private file.
        seed_dataset (`str`, *optional*): Their dataset on the Hub.
        instruction_dataset (`str`, *optional*): The dataset on the Hub that the written instructions were pushed to.
        evaluated_on (`str`, *optional*): The problems that were measured on.
        scores (`dict[str, dict[str, Sequence[float]]]`): By `"before"` and `"after"`, what
            [`~evaluation.EvaluationReport.as_dict`] gives.
        license (`str`, *optional*): Defaults to that of a base model on the Hub, once the model is pushed.
    """

    seeds: str | None = None
    seed_dataset: str | None = None
    instruction_dataset: str | None = None
    evaluated_on: str | None = None
    scores: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    license: str | None = None


def is_hub_id(name: str | None) -> bool:
    """
    Whether a model's name is one of the Hub, as far as can be known without asking it.

    Example:

    ```python
    >>> is_hub_id("Qwen/Qwen2.5-0.5B-Instruct"), is_hub_id("/home/me/model")
    (True, False)

    ```
    """
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return bool(name) and not Path(str(name)).exists()


def serl_card(
    trainer: "SeRLTrainer",
    model_name: str,
    repository: str,
    *,
    tags: Iterable[str] = (),
    is_adapter: bool | None = None,
) -> ModelCard:
    """
    The card of a trained model.

    Args:
        trainer ([`SeRLTrainer`]): Whose run is described; its `output_dir` has the instructions.
        model_name (`str`): The title.
        repository (`str`): Where the model is, or will be; of the code that uses it.
        tags (`Iterable[str]`, *optional*): Further tags.
        is_adapter (`bool`, *optional*): Whether the repository holds an adapter; by default whether one is trained.
    """
    facts, slots = trainer.card_facts, trainer.feed.dataset if trainer.feed is not None else None
    if is_adapter is None:
        is_adapter = hasattr(trainer.model, "peft_config")
    config = trainer.model.config
    base = config.name_or_path if is_hub_id(config.name_or_path) else None
    example = example_prompt(slots.seeds[0], slots.prompt_template) if slots else None
    snippet, note = usage(
        repository,
        example_prompt(trainer.train_dataset[0]["prompt"]) if example is None else example,
        trainer.args.max_completion_length,
        is_adapter=is_adapter,
        has_base=base is not None,
    )
    return ModelCard.from_template(
        _metadata({*TAGS, *tags} - {"grpo"}, facts, base, is_adapter, model_name),
        template_str=resources.files(__package__).joinpath("templates/model_card.md").read_text(encoding="utf-8"),
        model_name=model_name,
        base_model=base,
        model_type=config.model_type,
        is_adapter=is_adapter,
        is_self_instruct=slots is not None,
        is_vote_reward=trainer.reward_func_names == ["MajorityVoteReward"],
        paper_id=PAPER_ID,
        snippet=snippet,
        note=note,
        evaluated_on=facts.evaluated_on,
        scores={name: {metric: _cell(metric, s) for metric, s in of.items()} for name, of in facts.scores.items()},
        num_seeds=len(slots.seeds if slots else trainer.train_dataset),
        seeds=facts.seeds,
        seed_dataset=facts.seed_dataset,
        instruction_dataset=facts.instruction_dataset,
        iterations=iteration_counts(trainer.run_dir) if slots else [],
        progress=f"{_count(trainer.state.epoch or 0)} of {_count(trainer.args.num_train_epochs)} iterations, "
        f"{trainer.state.global_step} optimiser steps on {trainer.accelerator.num_processes} process(es).",
        settings=settings_of(trainer),
        trackers=tracker_links(trainer.args),
        versions=[(name, version(name)) for name in PACKAGES],
        citations=[PAPER, TRL],
    )


def write_card(trainer: "SeRLTrainer", folder: Path, name: str | None = None, tags: Iterable[str] = ()) -> None:
    """Writes the card of a run into a folder, from the main process; `name` defaults to that of the repository."""
    if trainer.is_world_process_zero():
        name = name or trainer.pushes.repository.split("/")[-1]
        folder.mkdir(parents=True, exist_ok=True)
        serl_card(trainer, name, trainer.hub_model_id or name, tags=tags).save(folder / "README.md")


def tracker_links(args: TrainingArguments) -> list[tuple[str, str]]:
    """Name and address of the run in each tracker that has one: Weights & Biases, Comet, a Space of Trackio."""
    links = []
    wandb, comet = sys.modules.get("wandb"), sys.modules.get("comet_ml")
    if getattr(wandb, "run", None) is not None:
        links.append(("Weights & Biases", str(wandb.run.url)))  # type: ignore[union-attr]
    if comet is not None and (experiment := comet.get_running_experiment()) is not None:
        links.append(("Comet", str(experiment.url)))
    if "trackio" in (args.report_to or []) and (space := getattr(args, "trackio_space_id", None)):
        links.append(("Trackio", f"https://{space.replace('/', '-')}.hf.space?project={args.project}"))
    return links


def settings_of(trainer: "SeRLTrainer") -> list[tuple[str, str]]:
    """The settings that a reader would want to know, rewards and adapter among them."""
    values = {name: getattr(trainer.args, name) for name in SETTINGS}
    rows = [(name, str(getattr(value, "value", value))) for name, value in values.items()]  # of enums, the value
    rewards = zip(trainer.reward_func_names, trainer.reward_weights.tolist(), strict=True)
    rows.insert(0, ("rewards", ", ".join(f"{name} (weight {weight:g})" for name, weight in rewards)))
    for adapter in getattr(trainer.model, "peft_config", {}).values():
        targets = adapter.target_modules
        rows.append(("lora_r, lora_alpha", f"{adapter.r}, {adapter.lora_alpha}"))
        rows.append(("lora_target_modules", targets if isinstance(targets, str) else ", ".join(sorted(targets))))
    return rows


def iteration_counts(run_dir: str | Path) -> list[tuple[int, int, int, str]]:
    """Of each iteration in the `instructions` of a run folder: its number, how many were written and kept, mean share."""
    counts = []
    paths = sorted(
        Path(run_dir, "instructions").glob("iteration_*.jsonl"), key=lambda path: (len(path.name), path.name)
    )
    for number, path in enumerate(paths, 1):
        written = read_instructions(path)
        kept = [instruction for instruction in written if instruction.is_kept]
        shares = [instruction.vote_share for instruction in kept if instruction.vote_share is not None]
        counts.append((number, len(written), len(kept), f"{sum(shares) / len(shares):.2f}" if shares else "-"))
    return counts


def example_prompt(prompt: Prompt, template: PromptTemplate | None = None) -> Prompt:
    """An example question, put to the model as it was trained to be asked: in the manner of one of its prompts."""
    if template is not None:
        return template.render(QUESTION)
    return QUESTION if isinstance(prompt, str) else [*prompt[:-1], {**prompt[-1], "content": QUESTION}]


def usage(
    repo: str, prompt: Prompt, max_new_tokens: int | None, *, is_adapter: bool, has_base: bool
) -> tuple[str, str | None]:
    """Code that answers a question with the model of a repository, and what is to be known about it."""
    note = None
    if not is_adapter:
        lines = ["from transformers import pipeline", "", f'generator = pipeline("text-generation", model="{repo}")']
    elif has_base:
        lines = [
            "from peft import AutoPeftModelForCausalLM",
            "from transformers import AutoTokenizer, pipeline",
            "",
            f'model = AutoPeftModelForCausalLM.from_pretrained("{repo}")  # loads the base, then the adapter',
        ]
        note = "`model.merge_and_unload()` gives a plain model with the adapter merged in."
    else:
        lines = [
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline",
            "",
            'base = AutoModelForCausalLM.from_pretrained("path/to/the/base")  # the model that the adapter was trained on',
            f'model = PeftModel.from_pretrained(base, "{repo}")',
        ]
        note = "The base is not on the Hub: without it, the adapter is of no use."
    if is_adapter:
        lines.append(f'tokenizer = AutoTokenizer.from_pretrained("{repo}")')
        lines.append('generator = pipeline("text-generation", model=model, tokenizer=tokenizer)')
    shown = json.dumps(prompt, ensure_ascii=False, indent=4)  # strings, lists and dicts of strings are Python, too
    call = f"generator(prompt, max_new_tokens={max_new_tokens}, return_full_text=False)"
    return "\n".join([*lines, f"prompt = {shown}", f'print({call}[0]["generated_text"])']), note


def _metadata(tags: set[str], facts: CardFacts, base: str | None, is_adapter: bool, name: str) -> ModelCardData:
    named = {facts.seed_dataset, facts.instruction_dataset}
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type="custom",
            dataset_name=facts.evaluated_on or "held-out problems",
            metric_type="accuracy",
            metric_name=f"{metric} (%)",
            metric_value=round(100 * score[0], 1),
        )
        for metric, score in facts.scores.get("after", {}).items()
        if "@" in metric
    ]
    return ModelCardData(
        base_model=base,
        datasets=sorted(name for name in named if name) or None,
        library_name="peft" if is_adapter else "transformers",
        license=facts.license,
        model_name=name,
        pipeline_tag="text-generation",
        tags=sorted({*tags, *(["lora"] if is_adapter else [])}),
        eval_results=results or None,
    )


def _cell(metric: str, score: Sequence[float]) -> str:
    mean, low, high = score
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]" if metric == "tokens" else f"{mean:.1%} [{low:.1%}, {high:.1%}]"


def _count(number: float) -> str:
    return f"{number:.3g}"

"""Generate and score: what a model gets right on problems whose answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from rich.console import Console
from rich.table import Table
from transformers import GenerationConfig

from .answers import extract_answer, is_equivalent
from .metrics import MeanWithInterval, mean_with_interval
from .prompts import Prompt
from .random_state import isolated_random_state
from .voting import majority_vote


@dataclass(frozen=True)
class EvaluationReport:
    """
    The scores of P problems with S samples each, problem by problem.

    Args:
        greedy (`np.ndarray`): (P,), 1.0 where the greedy completion is right.
        sampled (`np.ndarray`): (P,), the share of right samples.
        majority (`np.ndarray`): (P,), 1.0 where the samples' majority vote is right.
        no_answer (`np.ndarray`): (P,), the share of samples without an answer.
        length_tokens (`np.ndarray`): (P,), the mean length of the samples.
        num_samples (`int`): S.
    """

    greedy: np.ndarray
    sampled: np.ndarray
    majority: np.ndarray
    no_answer: np.ndarray
    length_tokens: np.ndarray
    num_samples: int

    def scores(self) -> dict[str, MeanWithInterval]:
        """Each metric's mean over problems with its bootstrap 95 % interval."""
        columns = {
            "greedy pass@1": self.greedy,
            "sampled pass@1": self.sampled,
            f"maj@{self.num_samples}": self.majority,
            "no answer": self.no_answer,
            "tokens": self.length_tokens,
        }
        return {name: mean_with_interval(column) for name, column in columns.items()}

    def as_dict(self) -> dict[str, list[float]]:
        """Each metric as `[mean, low, high]`."""
        return {name: [float(value) for value in score] for name, score in self.scores().items()}


def evaluate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    answers: Sequence[str],
    *,
    answer_type: str = "math",
    num_samples: int = 16,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_new_tokens: int = 1024,
    batch_size: int = 256,
    seed: int = 0,
) -> EvaluationReport:
    """
    Scores a model, greedily and by sampling, without a trace: mode and random states are as they were afterwards.

    The problems are shared out among the processes, all of which get the whole report.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal LM, not wrapped for distributed training.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Its tokenizer.
        prompts (`Sequence`): P prompts, strings or messages.
        answers (`Sequence[str]`): The P true answers.
        answer_type (`str`, *optional*, defaults to `"math"`): How answers are extracted and compared.
        num_samples (`int`, *optional*, defaults to `16`): Samples per problem.
        temperature, top_p (`float`, *optional*, default to `1.0`): Sampling settings.
        max_new_tokens (`int`, *optional*, defaults to `1024`): Longest completion, in tokens.
        batch_size (`int`, *optional*, defaults to `256`): Completions generated at a time.
        seed (`int`, *optional*, defaults to `0`): Of the samples.

    Returns:
        [`EvaluationReport`]

    Raises:
        ValueError: If there are no problems, or not one answer for each prompt.
    """
    if not prompts or len(prompts) != len(answers):
        raise ValueError(
            f"There are {len(prompts)} prompts and {len(answers)} answers; evaluate needs one answer each."
        )
    state = PartialState()
    # As many for each process, so that all generate as often: sharded models generate together. The last may be repeated.
    size = -(-len(prompts) // state.num_processes)
    local = [min(state.process_index + i * state.num_processes, len(prompts) - 1) for i in range(size)]
    sampling = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}
    was_training = model.training
    model.eval()
    with isolated_random_state(seed + state.process_index):
        mine = [prompts[i] for i in local]
        greedy = generate(model, tokenizer, mine, do_sample=False, **sampling)
        repeated = [prompt for prompt in mine for _ in range(num_samples)]
        sampled = generate(
            model, tokenizer, repeated, do_sample=True, temperature=temperature, top_p=top_p, top_k=0, **sampling
        )
    model.train(was_training)
    rows = []
    for n, i in enumerate(local):
        samples = sampled[n * num_samples : (n + 1) * num_samples]
        rows.append((i, *_scores(greedy[n][0], samples, answers[i], answer_type)))
    first = {row[0]: row for row in reversed(gather_object(rows))}  # of a problem that was repeated
    table = np.array([first[i] for i in range(len(prompts))], dtype=float)
    _, greedy_right, right, majority, no_answer, length = table.T
    return EvaluationReport(greedy_right, right, majority, no_answer, length, num_samples)


def _scores(greedy: str, samples: list[tuple[str, int]], answer: str, answer_type: str) -> tuple[float, ...]:
    extracted = [extract_answer(text, answer_type) for text, _ in samples]
    right = [text is not None and is_equivalent(text, answer, answer_type) for text in extracted]
    winner = majority_vote([text for text, _ in samples], answer_type).answer
    first = extract_answer(greedy, answer_type)
    return (
        float(first is not None and is_equivalent(first, answer, answer_type)),
        float(np.mean(right)),
        float(winner is not None and is_equivalent(winner, answer, answer_type)),
        float(np.mean([text is None for text in extracted])),
        float(np.mean([length for _, length in samples])),
    )


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], *, batch_size: int, max_new_tokens: int, **sampling: Any
) -> list[tuple[str, int]]:
    """One completion for each prompt: its text and its length in tokens."""
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=model.generation_config.eos_token_id or tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        **sampling,
    )
    order = sorted(range(len(prompts)), key=lambda i: len(str(prompts[i])))  # alike lengths, little padding
    completions: list[tuple[str, int]] = [("", 0)] * len(prompts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        texts = [_rendered(tokenizer, prompts[i]) for i in chosen]
        add_special_tokens = isinstance(prompts[chosen[0]], str)  # a chat template holds them already
        inputs = tokenizer(
            texts, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=add_special_tokens
        ).to(model.device)
        with torch.no_grad():
            output = model.generate(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], generation_config=config
            )
        new = output[:, inputs["input_ids"].size(1) :]
        lengths = (new != config.pad_token_id).sum(dim=1).tolist()
        decoded = tokenizer.batch_decode(new, skip_special_tokens=True)
        for i, text, length in zip(chosen, decoded, lengths, strict=True):
            completions[i] = (text, length)
    return completions


def _rendered(tokenizer: Any, prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)


def print_table(reports: dict[str, EvaluationReport], console: Console | None = None) -> None:
    """Prints one column a report, with 95 % intervals."""
    table = Table(title="On held-out problems")
    table.add_column("")
    for name in reports:
        table.add_column(name, justify="right")
    scores = [report.scores() for report in reports.values()]
    for metric in scores[0]:
        style = "{:.1f} [{:.1f}, {:.1f}]" if metric == "tokens" else "{:.1%} [{:.1%}, {:.1%}]"
        table.add_row(metric, *(style.format(*score[metric]) for score in scores))
    (console or Console()).print(table)

"""Generate and score: what a model gets right on problems whose answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import gather_object
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from ..answers import extract_answer, is_equivalent
from ..prompts import Generated, Sampling, batches_by_length
from ..types import Prompt
from ..voting import majority_vote
from .completions_file import FiledRows, Records
from .generators import Engine
from .scores import MeanWithInterval, mean_with_interval, pass_at_k


@dataclass(frozen=True)
class EvaluationReport:
    """
    The scores of P problems with S samples each, problem by problem.

    Args:
        greedy (`np.ndarray`): (P,), 1.0 where the greedy completion is right.
        greedy_no_answer (`np.ndarray`): (P,), 1.0 where the greedy completion has no answer.
        num_right (`np.ndarray`): (P,), how many samples are right.
        majority (`np.ndarray`): (P,), 1.0 where the samples' majority vote is right.
        no_answer (`np.ndarray`): (P,), the share of samples without an answer; of greedy completions if S is 0.
        length_tokens (`np.ndarray`): (P,), the mean length of the same completions.
        num_samples (`int`): S.
    """

    greedy: NDArray
    greedy_no_answer: NDArray
    num_right: NDArray
    majority: NDArray
    no_answer: NDArray
    length_tokens: NDArray
    num_samples: int

    @property
    def sampled(self) -> NDArray:
        """(P,), the share of right samples."""
        return self.num_right / self.num_samples

    def pass_at(self, k: int) -> NDArray:
        """(P,), the unbiased estimate of [`pass_at_k`]."""
        return np.array([pass_at_k(self.num_samples, int(num), k) for num in self.num_right])

    def scores(self) -> dict[str, MeanWithInterval]:
        """Each metric's mean over problems with its bootstrap 95 % interval; what needs samples only where there are some."""
        columns = {"greedy pass@1": self.greedy}
        if self.num_samples:
            columns |= {"sampled pass@1": self.sampled, f"maj@{self.num_samples}": self.majority}
            powers = (2**i for i in range(1, self.num_samples.bit_length()))
            columns |= {f"pass@{k}": self.pass_at(k) for k in sorted({*powers, self.num_samples} - {1})}
        columns |= {"no answer": self.no_answer, "tokens": self.length_tokens}
        return {name: mean_with_interval(column) for name, column in columns.items()}

    def as_dict(self) -> dict[str, list[float]]:
        """Each metric as `[mean, low, high]`."""
        return {name: [float(value) for value in score] for name, score in self.scores().items()}

    def of(self, is_chosen: Sequence[bool]) -> "EvaluationReport":
        """The report on some of the problems."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return EvaluationReport(
            **{name: value if name == "num_samples" else value[np.array(is_chosen)] for name, value in columns.items()}
        )


def evaluate(
    engine: Engine,
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
    file: str | Path | None = None,
    known: FiledRows | None = None,
) -> EvaluationReport:
    """
    Scores a model, greedily and by sampling.

    The work is shared out in batches among the processes, all of which get the whole report. A completion's random numbers come
    from the seed, the problem's position and the sample's: what is drawn depends neither on batches and processes, nor on how
    many other problems and samples there are, nor on where a run was interrupted. Beyond the length of their pretraining,
    models with `longrope` or `dynamic` rotary positions are an exception: a row is scaled by the longest beside it.

    Args:
        engine (`Engine`):
            What completes prompts: [`transformers_engine`] or [`vllm_engine`]. If it has an attribute `settings`, a `file` of
            completions with other settings is refused. If it has a method `prompt_lengths`, problems of like length are asked
            for together. It is to draw by `sampling.rows`: the seed is the same for all batches.
        prompts (`Sequence`): P prompts, strings or messages.
        answers (`Sequence[str]`): The P true answers.
        answer_type (`str`, *optional*, defaults to `"math"`): How answers are extracted and compared.
        num_samples (`int`, *optional*, defaults to `16`): Samples per problem; with 0 there is a greedy completion only.
        temperature, top_p (`float`, *optional*, default to `1.0`): Sampling settings.
        max_new_tokens (`int`, *optional*, defaults to `1024`): Longest completion, in tokens.
        batch_size (`int`, *optional*, defaults to `256`): Most completions asked for at a time.
        seed (`int`, *optional*, defaults to `0`): Of the samples.
        file (`str` or `Path`, *optional*):
            JSON Lines file that every completion is added to as it comes, with its answer and whether that is right. What
            is in it already is not generated again.
        known (`dict`, *optional*):
            Completions of the same model with the same settings, as an earlier call has left them in such a dictionary: those
            of the same problems are not generated again. It gets all those of this call.

    Returns:
        [`EvaluationReport`]

    Raises:
        ValueError: If there are no problems, not one answer for each prompt, or `file` is of other problems or settings.

    Source: the paper's evaluation is greedy; maj@k at temperature 1 and top_p 0.95.
    """
    if not prompts or len(prompts) != len(answers):
        raise ValueError(
            f"There are {len(prompts)} prompts and {len(answers)} answers; evaluate needs one answer each."
        )
    settings = {
        "num_samples": num_samples,
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
        "answer_type": answer_type,
        **getattr(engine, "settings", {}),
    }
    state = PartialState()
    records = Records(None if file is None else Path(file), settings, prompts, answers, state)

    num_each = {"greedy": 1, "sampled": num_samples}
    if known is not None:
        records.add_missing(row for row in known.values() if _is_of(row, prompts, answers, num_each))

    def completed(job: _Job) -> list[dict[str, Any]]:
        asked = [(i, sample) for i in job.indices for sample in range(job.num_each)]
        sampling = Sampling(max_new_tokens)
        if job.mode == "sampled":
            sampling = Sampling(max_new_tokens, temperature, top_p, seed, tuple(_row_number(*row) for row in asked))
        texts = engine([prompts[i] for i, _ in asked], sampling)
        parts = (texts[n : n + job.num_each] for n in range(0, len(texts), job.num_each))
        return [
            _scored(i, job.mode, prompts[i], part, answers[i], answer_type)
            for i, part in zip(job.indices, parts, strict=True)
        ]

    lengths = _lengths(engine, prompts)
    for mode, num in num_each.items():
        left = [i for i in range(len(prompts)) if num and (mode, i) not in records.rows]
        jobs = _jobs(left, lengths, mode, num, batch_size)
        # Processes with a sharded model generate together, so each does as many jobs; the repeats are left out.
        padded = jobs + jobs[-1:] * (-len(jobs) % state.num_processes)
        for start in range(0, len(padded), state.num_processes):
            of_all = gather_object([completed(padded[start + state.process_index])])  # one list of rows a process
            records.add(list(chain(*of_all[: len(jobs) - start])))
    if known is not None:
        known |= records.rows
    return _report(records.rows, len(prompts), num_samples)


@dataclass(frozen=True)
class _Job:
    """A batch of completions: of which problems, and how many of each."""

    mode: str  # "greedy" or "sampled"
    indices: list[int]
    num_each: int


def _jobs(left: Sequence[int], lengths: Sequence[int], mode: str, num_each: int, batch_size: int) -> list[_Job]:
    """The batches of an evaluation in one mode, problems of like length together; the same on every process."""
    batches = batches_by_length([lengths[i] for i in left], [num_each] * len(left), batch_size)
    return [_Job(mode, [left[place] for place in batch], num_each) for batch in batches]


def _lengths(engine: Engine, prompts: Sequence[Prompt]) -> list[int]:
    """The lengths of prompts where they matter to an engine; else they count as equal."""
    prompt_lengths = getattr(engine, "prompt_lengths", None)
    return [0] * len(prompts) if prompt_lengths is None else prompt_lengths(prompts)


def _row_number(problem: int, sample: int) -> int:
    """The number of a sample's row: no two of one evaluation are equal, and it depends on nothing else."""
    return (problem << 32) + sample


def _is_of(row: dict[str, Any], prompts: Sequence[Prompt], answers: Sequence[str], num_each: dict[str, int]) -> bool:
    """Whether a row is of one of these problems, with as many completions as are asked for."""
    i = row["index"]
    return (
        i < len(prompts)
        and row["prompt"] == prompts[i]
        and row["true_answer"] == answers[i]
        and len(row["completions"]) == num_each[row["mode"]]
    )


def _scored(
    index: int, mode: str, prompt: Prompt, completions: Sequence[Generated], answer: str, answer_type: str
) -> dict[str, Any]:
    """What is filed of a problem's completions."""
    extracted = [extract_answer(text, answer_type) for text, _ in completions]
    winner = majority_vote([text for text, _ in completions], answer_type).answer
    return {
        "index": index,
        "mode": mode,
        "prompt": prompt,
        "true_answer": answer,
        "answers": extracted,
        "is_right": [_is_right(text, answer, answer_type) for text in extracted],
        "majority": winner,
        "is_majority_right": _is_right(winner, answer, answer_type),
        "num_tokens": [length for _, length in completions],
        "completions": [text for text, _ in completions],
    }


def _is_right(found: str | None, answer: str, answer_type: str) -> bool:
    return found is not None and is_equivalent(found, answer, answer_type)


def _report(rows: FiledRows, num_problems: int, num_samples: int) -> EvaluationReport:
    greedy = [rows["greedy", i] for i in range(num_problems)]
    sampled = [rows["sampled", i] for i in range(num_problems)] if num_samples else greedy
    return EvaluationReport(
        greedy=np.array([float(row["is_right"][0]) for row in greedy]),
        greedy_no_answer=np.array([float(row["answers"][0] is None) for row in greedy]),
        num_right=np.array([sum(row["is_right"]) for row in sampled]),
        majority=np.array([float(row["is_majority_right"]) for row in sampled]),
        no_answer=np.array([np.mean([text is None for text in row["answers"]]) for row in sampled]),
        length_tokens=np.array([np.mean(row["num_tokens"]) for row in sampled]),
        num_samples=num_samples,
    )


def print_table(reports: dict[str, EvaluationReport], title: str, console: Console | None = None) -> None:
    """Prints one column a report, with 95 % intervals."""
    table = Table(title=title)
    table.add_column("")
    for name in reports:
        table.add_column(name, justify="right")
    scores = [report.scores() for report in reports.values()]
    for metric in scores[0]:
        style = "{:.1f} [{:.1f}, {:.1f}]" if metric == "tokens" else "{:.1%} [{:.1%}, {:.1%}]"
        table.add_row(metric, *(style.format(*score[metric]) for score in scores))
    (console or Console()).print(table)

"""`SelfInstructDataset`: the prompts of a run, rewritten by the policy itself at the start of every iteration."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import datasets
from torch.utils.data import Dataset

from .filters import (
    DifficultyGate,
    InstructionFilter,
    KeywordFilter,
    LengthFilter,
    NoveltyFilter,
    Verdict,
    apply_filters,
)
from .novelty import NoveltyIndex
from .prompts import Deck, Prompt, PromptTemplate, Reply, few_shot_prompt, parse_reply
from .refill import Cursor
from .shortage import PARSE_FILTER, TooFewInstructionsError, shortage
from .voting import Vote


Writer: TypeAlias = Callable[[list[Prompt], int], list[Reply]]
Judge: TypeAlias = Callable[[list[Prompt], int], list[tuple[Vote, Verdict]]]

MAX_REPLIES_PER_INSTRUCTION = 8  # replies asked for, per instruction wanted, before an iteration makes do with less


@dataclass
class Instruction:
    """One instruction the policy wrote, kept or not.

    Args:
        text (`str`): The instruction, as written but for white space.
        source (`str`): `"generated"`.
        parents (`list[str]`): The instructions that were shown to the policy.
        verdicts (`dict[str, Verdict]`): What each filter said, up to the first that rejected it.
        vote_share (`float`, *optional*): Of the first vote, ahead of training or on its rollouts; `None` before that.
        vote_answer (`str`, *optional*): The winning answer of the first vote.
    """

    text: str
    source: str
    parents: list[str] = field(repr=False)
    verdicts: dict[str, Verdict]
    vote_share: float | None = None
    vote_answer: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether every filter let it pass."""
        return all(verdict.kept for verdict in self.verdicts.values())


class SelfInstructDataset(Dataset):
    """
    A fixed number of slots, and the queue of new instructions that they are filled from.

    The sampler sees `num_instructions` slots that never change; [`SeRLTrainer`] binds them to instructions from the queue
    when a rollout starts, and draws replacements from the same cursor. [`~SelfInstructDataset.regenerate`] fills the
    queue: it shows the policy few-shot prompts of seeds and of instructions kept earlier, parses its replies, and keeps
    what passes the filters. [`~SelfInstructDataset.start`] and [`~SelfInstructDataset.extend`] do so bit by bit.

    Args:
        seeds (`datasets.Dataset` or `Sequence`):
            The unlabelled prompts: a dataset with a column `prompt`, or a list of its values. Strings, or messages whose
            last is the user's; a written instruction takes over the other messages of its first parent.
        num_instructions, num_few_shot, seed_fraction, seed:
            As in [`SeRLConfig`].
        filters (`list[InstructionFilter]`, *optional*):
            What a written instruction must pass, in this order. Defaults to length, keyword and novelty with the
            defaults of [`SeRLConfig`]; a [`NoveltyFilter`] among them is told the seeds and everything that is kept.
        prompt_template (`PromptTemplate`, *optional*):
            How string instructions are put to the policy; without it they stay strings.

    Raises:
        ValueError: If there are fewer seeds than `num_few_shot`, a seed is empty, or the template would be ignored.

    Source: paper section 3.1. The official code keeps what is new against a buffer that it clears every step; we
    compare with the seeds and everything ever kept.

    Example:

    ```python
    >>> dataset = SelfInstructDataset(["What is 1 + 1?", "What is 2 + 3?"], num_instructions=1, num_few_shot=2)
    >>> report = dataset.regenerate(lambda prompts, seed: [Reply("3. Which is the largest even prime?")] * len(prompts), 0)
    >>> dataset.cursor.bind(1)
    >>> [dataset.prompt(index) for index in dataset.draw(1)]
    ['Which is the largest even prime?']

    ```
    """

    def __init__(
        self,
        seeds: datasets.Dataset | Sequence[Prompt],
        *,
        num_instructions: int = 2000,
        num_few_shot: int = 8,
        seed_fraction: float = 0.25,
        filters: list[InstructionFilter] | None = None,
        prompt_template: PromptTemplate | None = None,
        seed: int = 42,
    ) -> None:
        self.seeds: list[Prompt] = _prompts(seeds)
        if len(self.seeds) < num_few_shot:
            raise ValueError(
                f"There are {len(self.seeds)} seeds, fewer than num_few_shot={num_few_shot} that a prompt shows; "
                "add seeds or lower num_few_shot."
            )
        if prompt_template is not None and any(not isinstance(prompt, str) for prompt in self.seeds):
            raise ValueError("The seeds are messages already; a prompt_template needs seeds that are strings.")
        self.num_instructions = num_instructions
        self.num_few_shot = num_few_shot
        self.seed_fraction = seed_fraction
        self.prompt_template = prompt_template
        self.seed = seed
        default: list[InstructionFilter] = [LengthFilter(), KeywordFilter(), NoveltyFilter(NoveltyIndex())]
        self.filters = default if filters is None else filters
        self.queue: list[Instruction] = []  # kept in the current iteration, in the order in which they are drawn
        self.written: list[Instruction] = []  # of the current iteration, with those that were rejected
        self._kept: list[str] = []  # ever, in every iteration; what a vote ahead of training rejects is among them
        self._ancestors = {_instruction_text(prompt): prompt for prompt in self.seeds}  # the seed of each instruction
        self._seed_texts = list(self._ancestors)
        for text in self._seed_texts:
            self._remember(text)
        self.start(-1)

    @classmethod
    def from_config(
        cls, seeds: datasets.Dataset | Sequence[Prompt], args: Any, prompt_template: PromptTemplate | None = None
    ) -> "SelfInstructDataset":
        """The dataset that a [`SeRLConfig`] describes."""
        filters: list[InstructionFilter] = [
            LengthFilter(args.min_instruction_words, args.max_instruction_words),
            KeywordFilter(args.banned_words),
            NoveltyFilter(NoveltyIndex(args.novelty_threshold, args.novelty_tokenizer)),
        ]
        return cls(
            seeds,
            num_instructions=args.num_instructions,
            num_few_shot=args.num_few_shot,
            seed_fraction=args.seed_fraction,
            filters=filters,
            prompt_template=prompt_template,
            seed=args.seed,
        )

    def __len__(self) -> int:
        return self.num_instructions

    def __getitem__(self, slot: int) -> dict[str, int]:
        return {"slot": slot}

    def prompt(self, index: int) -> Prompt:
        """What the policy is asked for an instruction of the queue."""
        instruction = self.queue[index]
        if self.prompt_template is not None:
            return self.prompt_template.render(instruction.text)
        seed = self._ancestors[instruction.text]
        return instruction.text if isinstance(seed, str) else [*seed[:-1], {**seed[-1], "content": instruction.text}]

    def draw(self, num_wanted: int) -> list[int]:
        """Takes at most so many further instructions from the queue; returns their places in it."""
        return self.cursor.draw(num_wanted, len(self.queue))

    def record_vote(self, index: int, vote: Vote) -> None:
        """Notes how the first rollouts of an instruction voted."""
        instruction = self.queue[index]
        if instruction.vote_share is None:
            instruction.vote_share, instruction.vote_answer = vote.share, vote.answer

    def regenerate(self, write: Writer, iteration: int, num_prompts: int = 64) -> dict[str, float]:
        """
        Starts an iteration and has the policy write an instruction for each of its slots.

        Args:
            write, num_prompts:
                As in [`~SelfInstructDataset.extend`].
            iteration (`int`):
                Number of the iteration, from 0. In iteration 0 only seeds are shown.

        Returns:
            `dict[str, float]`: Metrics, as [`~SelfInstructDataset.extend`] returns them.

        Raises:
            TooFewInstructionsError: If not one instruction passed the filters.
        """
        self.start(iteration)
        return self.extend(write, self.num_instructions, self.num_instructions, num_prompts)

    def start(self, iteration: int) -> None:
        """Empties queue and slots for an iteration, from 0."""
        self.iteration, self._num_kept_before = iteration, len(self._kept)
        self._deck = Deck(self._seed_texts, random.Random(f"{self.seed}/{iteration}"))
        self.queue, self.written, self.cursor = [], [], Cursor()  # the cursor is the queue's

    def extend(
        self,
        write: Writer,
        num_wanted: int,
        num_slots: int,
        num_prompts: int = 64,
        *,
        judge: Judge | None = None,
        num_needed: int = 1,
    ) -> dict[str, float]:
        """
        Has the policy write until `num_wanted` instructions of the queue are not drawn yet, for the next slots.

        Args:
            write (`Callable[[list[Prompt], int], list[Reply]]`):
                Generates one reply for each prompt, given a seed for its sampling.
            num_wanted (`int`):
                Instructions wanted. After eight replies for each of them there may be fewer.
            num_slots (`int`):
                Slots that they are for.
            num_prompts (`int`, *optional*, defaults to `64`):
                Most prompts handed to `write` at a time.
            judge (`Callable[[list[Prompt], int], list[tuple[Vote, Verdict]]]`, *optional*):
                Votes on instructions that passed the filters, given a seed for its sampling, and says which to keep.
            num_needed (`int`, *optional*, defaults to `1`):
                Fewest instructions to go on with.

        Returns:
            `dict[str, float]`: Metrics: how many were written and kept, and the share that each filter rejected.

        Raises:
            TooFewInstructionsError: If fewer than `num_needed` could be had.
        """
        rng = random.Random(f"{self.seed}/{self.iteration}/{len(self.written)}")
        counts, written_before = Counter[str](), self._kept[: self._num_kept_before]
        num_before, self._capacity = len(self.queue), self.cursor.position + num_wanted
        max_replies = MAX_REPLIES_PER_INSTRUCTION * (self._capacity - num_before)
        while len(self.queue) < self._capacity and counts["replies"] < max_replies:
            missing, first = self._capacity - len(self.queue), len(self.queue)
            shown = [
                self._few_shot(self._deck, written_before, rng)
                for _ in range(min(num_prompts, missing + missing // 4 + 1))
            ]
            replies = write([self._writing_prompt(texts) for texts in shown], rng.getrandbits(32))
            counts["replies"] += len(replies)
            for texts, reply in zip(shown, replies, strict=True):
                self._collect(texts, reply, counts)
            if judge is not None:
                self._judge(judge, first, rng.getrandbits(32), counts)
        self.cursor.serve(num_slots)
        num_left = len(self.queue) - self.cursor.position
        if num_left < num_needed:
            raise TooFewInstructionsError(shortage(counts, self._filter_names, num_left, num_needed))
        return self._metrics(counts, len(self.queue) - num_before)

    def _judge(self, judge: Judge, first: int, seed: int, counts: Counter[str]) -> None:
        """Takes out of the queue what is outside the band, from its place `first` on; it stays in the bank."""
        prompts = [self.prompt(index) for index in range(first, len(self.queue))]
        judged = judge(prompts, seed) if prompts else []
        fresh = self.queue[first:]
        for instruction, (vote, verdict) in zip(fresh, judged, strict=True):
            instruction.verdicts[DifficultyGate.name] = verdict
            instruction.vote_share, instruction.vote_answer = vote.share, vote.answer
            counts[DifficultyGate.name] += not verdict.kept
        self.queue[first:] = [instruction for instruction in fresh if instruction.is_kept]

    def save(self, path: str | Path) -> None:
        """Writes this iteration's instructions, kept or not, to a JSON Lines file: all at once or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", encoding="utf-8") as file:
            for instruction in self.written:
                row = {"is_kept": instruction.is_kept, **asdict(instruction)}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        temporary.replace(path)

    def state_dict(self) -> dict[str, Any]:
        """The iteration's instructions with their votes, and everything ever kept, as JSON-able data."""
        place = {id(instruction): i for i, instruction in enumerate(self.written)}
        return {
            "iteration": self.iteration,
            "queue": [place[id(instruction)] for instruction in self.queue],
            "cursor": asdict(self.cursor),
            "num_dealt": self._deck.num_dealt,
            "num_kept_before": self._num_kept_before,
            "written": [asdict(instruction) for instruction in self.written],
            "kept": [{"text": text, "seed": _instruction_text(self._ancestors[text])} for text in self._kept],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """
        Takes over the state of a dataset with the same seeds and filters.

        Raises:
            ValueError: If this dataset has kept other instructions already, or lacks a seed.
        """
        texts = [row["text"] for row in state["kept"]]
        if self._kept != texts[: len(self._kept)]:
            raise ValueError(
                "The SelfInstructDataset holds instructions of another run; resume with one that was made anew."
            )
        for row in state["kept"][len(self._kept) :]:
            if row["seed"] not in self._ancestors:
                raise ValueError(f"The checkpoint knows a seed that is not among the seeds: {row['seed']!r}.")
            self._ancestors.setdefault(row["text"], self._ancestors[row["seed"]])
            self._kept.append(row["text"])
            self._remember(row["text"])
        self.start(state["iteration"])
        self._deck.skip(state["num_dealt"])
        self._num_kept_before = state["num_kept_before"]
        self.cursor = Cursor(**state["cursor"])
        self.written = [_instruction(row) for row in state["written"]]
        self.queue = [self.written[i] for i in state["queue"]]

    def _few_shot(self, deck: Deck, written: list[str], rng: random.Random) -> list[str]:
        num_written = min(round(self.num_few_shot * (1 - self.seed_fraction)), len(written))
        shown = [next(deck) for _ in range(self.num_few_shot - num_written)] + rng.sample(written, num_written)
        rng.shuffle(shown)
        return shown

    def _writing_prompt(self, shown: list[str]) -> Prompt:
        request = few_shot_prompt(shown)
        template = self.prompt_template
        is_chat = not (template is None or template.continues_list) or not isinstance(self.seeds[0], str)
        return [{"role": "user", "content": request}] if is_chat else f"{request}\n{len(shown) + 1}."

    def _collect(self, shown: list[str], reply: Reply, counts: Counter[str]) -> None:
        texts = parse_reply(reply)
        if not texts:
            counts["written"] += 1
            counts[PARSE_FILTER] += 1
            verdict = Verdict(kept=False, reason="truncated" if reply.is_truncated else "empty", value=None)
            self.written.append(Instruction(reply.text, "generated", shown, {PARSE_FILTER: verdict}))
        for text in texts:
            if len(self.queue) == self._capacity:
                return
            instruction = Instruction(text, "generated", shown, apply_filters(text, self.filters))
            self.written.append(instruction)
            counts["written"] += 1
            if instruction.is_kept:
                self.queue.append(instruction)
                self._kept.append(text)
                self._ancestors.setdefault(text, self._ancestors[shown[0]])
                self._remember(text)
            else:
                counts[next(name for name, verdict in instruction.verdicts.items() if not verdict.kept)] += 1

    def _remember(self, text: str) -> None:
        for instruction_filter in self.filters:
            if isinstance(instruction_filter, NoveltyFilter):
                instruction_filter.index.add(text)

    @property
    def _filter_names(self) -> list[str]:
        return [PARSE_FILTER, *(f.name for f in self.filters)]

    def _metrics(self, counts: Counter[str], num_kept: int) -> dict[str, float]:
        names = [*self._filter_names, *([DifficultyGate.name] if DifficultyGate.name in counts else [])]
        shares = {f"serl/filter/frac_rejected_{name}": counts[name] / max(counts["written"], 1) for name in names}
        totals = {
            "num_replies": counts["replies"],
            "num_written": counts["written"],
            "num_kept": num_kept,
            "num_ever_kept": len(self._kept),
        }
        return {**{f"serl/instructions/{name}": float(total) for name, total in totals.items()}, **shares}


def _prompts(seeds: datasets.Dataset | Sequence[Prompt]) -> list[Prompt]:
    if isinstance(seeds, datasets.Dataset):
        if "prompt" not in seeds.column_names:
            raise ValueError(f"The seeds have the columns {seeds.column_names}; a column 'prompt' is needed.")
        prompts = list(seeds["prompt"])
    else:
        prompts = list(seeds)
    for i, prompt in enumerate(prompts):
        if not _instruction_text(prompt).strip():
            raise ValueError(f"Seed {i} is empty: {prompt!r}. Remove it.")
    return prompts


def _instruction(row: dict[str, Any]) -> Instruction:
    """The instruction that `asdict` took apart."""
    verdicts = {name: Verdict(**verdict) for name, verdict in row["verdicts"].items()}
    return Instruction(**{**row, "verdicts": verdicts})


def _instruction_text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]

"""`SelfInstructDataset`: the prompts of a run, rewritten by the policy itself at the start of every iteration."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import datasets
from torch.utils.data import Dataset

from ..prompts import PromptTemplate, prompts_of
from ..types import Prompt, Reply, Verdict
from ..voting import DifficultyGate, Vote
from .drift import DriftMonitor
from .errors import PARSE_FILTER, SEED_CAP, TooFewInstructionsError, shortage
from .filters import InstructionFilter, KeywordFilter, LengthFilter, apply_filters, check_filters, tell_filters
from .instruction_log import Instruction, InstructionArchive, instruction_of, write_instructions
from .ledger import Ledger
from .novelty_filters import Encoder, NoveltyFilter, SemanticNoveltyFilter, sentence_encoder
from .novelty_index import NoveltyIndex, closest_text
from .prompts import few_shot_prompt
from .queue import Cursor
from .reply_parser import parse_reply
from .seed_deck import SeedDeck, few_shot_choice
from .seed_prompts import SeedPrompts, warn_of_tokenizer
from .settings import InstructionSettings


Writer: TypeAlias = Callable[[list[Prompt], int], list[Reply]]
Judge: TypeAlias = Callable[[list[Prompt], int], list[tuple[Vote, Verdict]]]

MAX_REPLIES_PER_INSTRUCTION = 8  # replies asked for, per instruction wanted, before an iteration makes do with less


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
            last is the user's. A written instruction takes over the other messages of its seed parent. That is found by
            way of the text which, of those that the request showed, is most like it: this text, if it is a seed, else its
            seed parent. Where several seeds put the same question, under different system prompts for one, it is shown
            and compared once, and each gets its part of what descends from it.
        num_instructions, num_few_shot, seed_fraction, seed:
            As in [`SeRLConfig`].
        filters (`Sequence[InstructionFilter]`, *optional*):
            What a written instruction must pass, in this order: any objects with a name and a call; see
            [`~serl_trl.instructions.filters.InstructionFilter`]. Defaults to length, keyword and novelty with the
            defaults of [`SeRLConfig`].
        max_per_seed (`int`, *optional*):
            Most instructions with the same seed parent that an iteration keeps.
        encode (`Callable[[Sequence[str]], np.ndarray]`, *optional*):
            Texts to vectors of length 1, by which drift is measured. Defaults to TF-IDF; see
            [`~serl_trl.instructions.drift.DriftMonitor`].
        prompt_template (`PromptTemplate`, *optional*):
            How string instructions are put to the policy; without it they stay strings.

    Raises:
        ValueError: If there are fewer different seeds than `num_few_shot`, a seed is no prompt (see
            [`~serl_trl.prompts.prompts_of`]), or the template would be ignored.

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
        filters: Sequence[InstructionFilter] | None = None,
        max_per_seed: int | None = None,
        encode: Encoder | None = None,
        prompt_template: PromptTemplate | None = None,
        seed: int = 42,
    ) -> None:
        self.seeds: list[Prompt] = prompts_of(seeds)
        self._seed_prompts = SeedPrompts(self.seeds, prompt_template)
        seed_texts = self._seed_prompts.questions
        self._seed_prompts.check_request(num_few_shot)
        self.num_instructions = num_instructions
        self.num_few_shot, self.seed_fraction = num_few_shot, seed_fraction
        self.prompt_template, self.seed = prompt_template, seed
        default: list[InstructionFilter] = [LengthFilter(), KeywordFilter(), NoveltyFilter(NoveltyIndex())]
        reserved = [PARSE_FILTER, SEED_CAP, DifficultyGate.name]
        self.filters = check_filters(default if filters is None else filters, reserved)
        self.max_per_seed = max_per_seed
        self.iteration, self.first_iteration = -1, 0  # the current one, from 0; the first of the present run
        # Of the current iteration: what was written, kept or not; the part of it to train on; how far that is drawn.
        self.written: list[Instruction] = []
        self.queue: list[Instruction] = []
        self.cursor = Cursor()
        # Of all iterations: what was kept, to show and to compare with; and the rows of those that are over.
        self._ledger = Ledger(seed_texts)
        self.archive = InstructionArchive()
        self.deck = SeedDeck(seed_texts, seed)
        self._drift = DriftMonitor(seed_texts, encode)
        tell_filters(self.filters, seed_texts)

    @classmethod
    def from_config(
        cls,
        seeds: datasets.Dataset | Sequence[Prompt],
        args: InstructionSettings,
        prompt_template: PromptTemplate | None = None,
        further_filters: Sequence[InstructionFilter] = (),
    ) -> "SelfInstructDataset":
        """The dataset that a [`SeRLConfig`] describes, with `further_filters` after those of the configuration."""
        seeds = prompts_of(seeds)  # what is wrong with them is said before an embedding model is loaded
        index = NoveltyIndex(args.novelty_threshold, args.novelty_tokenizer)
        filters: list[InstructionFilter] = [
            LengthFilter(args.min_instruction_words, args.max_instruction_words),
            KeywordFilter(args.banned_words),
            NoveltyFilter(index, args.novelty_crowding_penalty),
        ]
        encode = sentence_encoder(args.embedding_model) if args.embedding_model else None
        if encode is not None and args.semantic_novelty_threshold is not None:
            filters.append(SemanticNoveltyFilter(encode, args.semantic_novelty_threshold))
        dataset = cls(
            seeds,
            num_instructions=args.num_instructions,
            num_few_shot=args.num_few_shot,
            seed_fraction=args.seed_fraction,
            filters=[*filters, *further_filters],
            max_per_seed=args.max_instructions_per_seed,
            encode=encode,
            prompt_template=prompt_template,
            seed=args.seed,
        )
        warn_of_tokenizer(dataset._seed_prompts.questions, args.novelty_tokenizer)
        return dataset

    def __len__(self) -> int:
        return self.num_instructions

    def __getitem__(self, slot: int) -> dict[str, int]:
        return {"slot": slot}

    def prompt(self, index: int) -> Prompt:
        """What the policy is asked for an instruction of the queue."""
        instruction = self.queue[index]
        prompt = self._prompt_of(instruction.text, instruction.seed_parent)
        assert prompt is not None  # whatever is kept has a seed parent
        return prompt

    def seed_prompts(self) -> list[Prompt]:
        """What the policy is asked for each seed."""
        return list(self._seed_prompts)

    def _prompt_of(self, text: str, seed_parent: str | None) -> Prompt | None:
        """What the policy is asked; nothing where no instruction could be parsed, and so there is no seed parent."""
        return None if seed_parent is None else self._seed_prompts.prompt_for(text, seed_parent)

    def draw(self, num_wanted: int) -> list[int]:
        """Takes at most so many further instructions from the queue; returns their places in it."""
        return self.cursor.draw(num_wanted, len(self.queue))

    def record_vote(self, index: int, vote: Vote) -> None:
        """Notes how the first rollouts of an instruction voted."""
        instruction = self.queue[index]
        if instruction.vote_share is None:
            instruction.record_vote(vote)

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
        """Empties queue and slots for an iteration, from 0; of one that is begun anew the first attempt goes."""
        if iteration != self.iteration:
            self.archive.add(self.iteration + 1, self.written)
        self.iteration = iteration
        self._ledger.start_iteration()
        self.queue, self.written, self.cursor = [], [], Cursor()

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
        counts, earlier = Counter[str](), self._ledger.earlier
        num_before, capacity = len(self.queue), self.cursor.position + num_wanted
        max_replies = MAX_REPLIES_PER_INSTRUCTION * (capacity - num_before)
        while len(self.queue) < capacity and counts["replies"] < max_replies:
            missing, first = capacity - len(self.queue), len(self.queue)
            choice = self.deck, earlier, self.num_few_shot, self.seed_fraction, rng
            shown = [few_shot_choice(*choice) for _ in range(min(num_prompts, missing + missing // 4 + 1))]
            replies = write([self._writing_prompt(texts) for texts in shown], rng.getrandbits(32))
            counts["replies"] += len(replies)
            for texts, reply in zip(shown, replies, strict=True):
                self._collect(texts, reply, capacity, counts)
            if judge is not None:
                self._judge(judge, first, rng.getrandbits(32), counts)
        self.cursor.serve(num_slots)
        num_left = len(self.queue) - self.cursor.position
        if num_left < num_needed:
            raise TooFewInstructionsError(shortage(counts, self._filter_names, num_left, num_needed))
        return self._metrics(counts, len(self.queue) - num_before)

    def _judge(self, judge: Judge, first: int, seed: int, counts: Counter[str]) -> None:
        """Takes out of the queue what is outside the band, from its place `first` on; it stays in ledger and bank."""
        prompts = [self.prompt(index) for index in range(first, len(self.queue))]
        judged = judge(prompts, seed) if prompts else []
        fresh = self.queue[first:]
        for instruction, (vote, verdict) in zip(fresh, judged, strict=True):
            instruction.verdicts[DifficultyGate.name] = verdict
            instruction.record_vote(vote)
            counts[DifficultyGate.name] += not verdict.kept
        self.queue[first:] = [instruction for instruction in fresh if instruction.is_kept]

    def save(self, path: str | Path) -> None:
        """Writes this iteration's instructions, kept or not, to a JSON Lines file: all at once or not at all."""
        write_instructions(path, self.written)

    def to_dataset(self, path: str | Path | None = None) -> datasets.Dataset:
        """
        Everything written in every iteration, kept or not, in the order of writing.

        Args:
            path (`str` or `Path`, *optional*): An Arrow file for the rows, which are then read from there when needed.
                Without it they are kept in memory, most of it for `parents`: 2.6 KB a row with eight as long as
                MATH's.

        Returns:
            [`~datasets.Dataset`]: Columns `iteration` (from 1), `text`, `prompt` (what the policy is asked: ready to train
            on), `source`, `seed_parent`, `parents` (what was shown), `is_kept`; `votes` (the class of each completion's
            answer, null for none), `winner` (the winning class), `answer` (its answer) and `share`, null where no vote
            was taken; and for each filter `<name>_kept`, `<name>_reason`, `<name>_value`, null where it was not asked.
        """
        everything = InstructionArchive(self.archive)
        everything.add(self.iteration + 1, self.written)
        return everything.to_dataset(self._prompt_of, path)

    def state_dict(self) -> dict[str, Any]:
        """The iteration's instructions with their votes, and everything ever kept, as JSON-able data."""
        place = {id(instruction): i for i, instruction in enumerate(self.written)}
        return {
            "iteration": self.iteration,
            "first_iteration": self.first_iteration,
            "queue": [place[id(instruction)] for instruction in self.queue],
            "cursor": asdict(self.cursor),
            "deck": self.deck.state_dict(),
            "written": [asdict(instruction) for instruction in self.written],
            **self._ledger.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """
        Takes over the state of a dataset with the same seeds and filters; earlier iterations are not part of it.

        Raises:
            ValueError: If this dataset has kept other instructions already, or lacks a seed.
        """
        for text in self._ledger.load_state_dict(state):
            tell_filters(self.filters, [text])
        self.deck.load_state_dict(state["deck"])
        self.iteration, self.first_iteration = state["iteration"], state.get("first_iteration", 0)
        self.cursor = Cursor(**state["cursor"])
        self.written = [instruction_of(row) for row in state["written"]]
        self.queue = [self.written[i] for i in state["queue"]]

    def _writing_prompt(self, shown: list[str]) -> Prompt:
        request = few_shot_prompt(shown)
        template = self.prompt_template
        is_chat = not (template is None or template.continues_list) or not isinstance(self.seeds[0], str)
        return [{"role": "user", "content": request}] if is_chat else f"{request}\n{len(shown) + 1}."

    def _collect(self, shown: list[str], reply: Reply, capacity: int, counts: Counter[str]) -> None:
        """Takes in what a reply holds, until the queue holds `capacity`; the rest of it is not looked at."""
        texts = parse_reply(reply)
        if not texts:
            counts["written"] += 1
            counts[PARSE_FILTER] += 1
            verdict = Verdict(kept=False, reason="truncated" if reply.is_truncated else "empty", value=None)
            self.written.append(Instruction(reply.text, "generated", shown, {PARSE_FILTER: verdict}))
        for text in texts:
            if len(self.queue) == capacity:
                return
            instruction = self._judged(text, shown)
            self.written.append(instruction)
            counts["written"] += 1
            if instruction.is_kept:
                self.queue.append(instruction)
                assert instruction.seed_parent is not None  # as _judged has it
                self._ledger.add(text, instruction.seed_parent)
                tell_filters(self.filters, [text])
            else:
                counts[next(name for name, verdict in instruction.verdicts.items() if not verdict.kept)] += 1

    def _judged(self, text: str, shown: list[str]) -> Instruction:
        """An instruction with its seed parent and what the filters say."""
        seed = self._ledger.seed_of(closest_text(text, shown))
        instruction = Instruction(text, "generated", shown, apply_filters(text, self.filters), seed_parent=seed)
        if self.max_per_seed is not None and instruction.is_kept:
            num_kept = sum(other.seed_parent == seed for other in self.queue)
            is_kept = num_kept < self.max_per_seed
            instruction.verdicts[SEED_CAP] = Verdict(is_kept, None if is_kept else "seed_used_up", num_kept)
        return instruction

    @property
    def _filter_names(self) -> list[str]:
        cap = [] if self.max_per_seed is None else [SEED_CAP]
        return [PARSE_FILTER, *(f.name for f in self.filters), *cap]

    def _metrics(self, counts: Counter[str], num_kept: int) -> dict[str, float]:
        names = [*self._filter_names, *([DifficultyGate.name] if DifficultyGate.name in counts else [])]
        shares = {f"serl/filter/frac_rejected_{name}": counts[name] / max(counts["written"], 1) for name in names}
        totals = {
            "num_replies": counts["replies"],
            "num_written": counts["written"],
            "num_kept": num_kept,
            "num_ever_kept": len(self._ledger),
        }
        drift = self._drift.measure([i.text for i in self.queue], [i.seed_parent for i in self.queue])
        return {**{f"serl/instructions/{name}": float(total) for name, total in totals.items()}, **shares, **drift}

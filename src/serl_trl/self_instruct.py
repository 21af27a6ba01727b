"""`SelfInstructDataset`: the prompts of a run, rewritten by the policy itself at the start of every iteration."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import datasets
from torch.utils.data import Dataset

from .drift import DriftMonitor
from .few_shot import SeedDeck, few_shot_choice
from .filters import (
    InstructionFilter,
    KeywordFilter,
    LengthFilter,
    Verdict,
    apply_filters,
    check_filters,
    tell_filters,
)
from .instructions import Instruction, InstructionArchive, write_instructions
from .novelty import NoveltyIndex, closest_text
from .novelty_filters import Encoder, NoveltyFilter, SemanticNoveltyFilter, sentence_encoder
from .prompts import Prompt, PromptTemplate, Reply, few_shot_prompt
from .replies import parse_reply
from .voting import Vote


Writer: TypeAlias = Callable[[list[Prompt], int], list[Reply]]

PARSE_FILTER = "parse"  # the name under which a reply without an instruction is counted
SEED_CAP = "seed_cap"  # the name under which max_per_seed rejects
MAX_REPLIES_PER_INSTRUCTION = 8  # replies asked for, per instruction wanted, before an iteration makes do with less


class SelfInstructDataset(Dataset):
    """
    A fixed number of slots, filled with new instructions once per iteration.

    The sampler sees `num_instructions` slots that never change; [`SeRLTrainer`] binds a slot to its instruction when a
    rollout starts. [`~SelfInstructDataset.regenerate`] refills the slots: it shows the policy few-shot prompts of seeds
    and of instructions kept earlier, parses its replies, and keeps what passes the filters.

    Args:
        seeds (`datasets.Dataset` or `Sequence`):
            The unlabelled prompts: a dataset with a column `prompt`, or a list of its values. Strings, or messages whose
            last is the user's; a written instruction takes over the other messages of its seed parent: the seed that the
            instruction shown which it resembles most is, or descends from.
        num_instructions, num_few_shot, seed_fraction, seed:
            As in [`SeRLConfig`].
        filters (`list[InstructionFilter]`, *optional*):
            What a written instruction must pass, in this order: any objects with a name and a call; see
            [`~filters.InstructionFilter`]. Defaults to length, keyword and novelty with the defaults of [`SeRLConfig`].
        max_per_seed (`int`, *optional*):
            Most instructions with the same seed parent that an iteration keeps.
        encode (`Callable[[Sequence[str]], np.ndarray]`, *optional*):
            Texts to vectors of length 1, by which drift is measured. Defaults to TF-IDF; see [`~drift.DriftMonitor`].
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
    >>> dataset.prompt(0)
    'Which is the largest even prime?'

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
        max_per_seed: int | None = None,
        encode: Encoder | None = None,
        prompt_template: PromptTemplate | None = None,
        seed: int = 42,
    ) -> None:
        self.seeds: list[Prompt] = _prompts(seeds)
        self._ancestors = {_instruction_text(prompt): prompt for prompt in self.seeds}  # the seed of each instruction
        if len(self._ancestors) < num_few_shot:
            raise ValueError(
                f"There are {len(self._ancestors)} different seeds, fewer than num_few_shot={num_few_shot} that a prompt shows; "
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
        self.filters = check_filters(default if filters is None else filters, reserved=[PARSE_FILTER, SEED_CAP])
        self.queue: list[Instruction] = []  # of the current iteration; slot i holds instruction i
        self.written: list[Instruction] = []  # of the current iteration, with those that were rejected
        self._kept: list[str] = []  # ever, in every iteration
        self._num_kept_of_seed: Counter[str] = Counter()  # in the current iteration
        self.max_per_seed = max_per_seed
        self.iteration = -1  # the current one, from 0
        self.archive = InstructionArchive()  # of the iterations before it
        seed_texts = list(self._ancestors)
        self.deck = SeedDeck(seed_texts, seed)
        self._drift = DriftMonitor(seed_texts, encode)
        tell_filters(self.filters, seed_texts)

    @classmethod
    def from_config(
        cls,
        seeds: datasets.Dataset | Sequence[Prompt],
        args: Any,
        prompt_template: PromptTemplate | None = None,
        further_filters: Sequence[InstructionFilter] = (),
    ) -> "SelfInstructDataset":
        """The dataset that a [`SeRLConfig`] describes, with `further_filters` after those of the configuration."""
        index = NoveltyIndex(args.novelty_threshold, args.novelty_tokenizer)
        filters: list[InstructionFilter] = [
            LengthFilter(args.min_instruction_words, args.max_instruction_words),
            KeywordFilter(args.banned_words),
            NoveltyFilter(index, args.novelty_crowding_penalty),
        ]
        encode = sentence_encoder(args.embedding_model) if args.embedding_model else None
        if encode is not None and args.semantic_novelty_threshold is not None:
            filters.append(SemanticNoveltyFilter(encode, args.semantic_novelty_threshold))
        return cls(
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

    def __len__(self) -> int:
        return self.num_instructions

    def __getitem__(self, slot: int) -> dict[str, int]:
        return {"slot": slot}

    def is_filled(self, slot: int) -> bool:
        """Whether the slot holds an instruction of its own."""
        return slot < len(self.queue)

    def prompt(self, slot: int) -> Prompt:
        """What the policy is asked in this slot; a slot that could not be filled repeats another's."""
        instruction = self.queue[slot % len(self.queue)]
        prompt = self._prompt_of(instruction.text, instruction.seed_parent)
        assert prompt is not None  # whatever is kept has a seed parent
        return prompt

    def _prompt_of(self, text: str, seed_parent: str | None) -> Prompt | None:
        """What the policy is asked; nothing where no instruction could be parsed, and so there is no seed parent."""
        if seed_parent is None:
            return None
        if self.prompt_template is not None:
            return self.prompt_template.render(text)
        seed = self._ancestors[seed_parent]
        return text if isinstance(seed, str) else [*seed[:-1], {**seed[-1], "content": text}]

    def record_vote(self, slot: int, vote: Vote) -> None:
        """Notes how the rollouts of a slot voted; a slot that repeats another's instruction is ignored."""
        if self.is_filled(slot):
            self.queue[slot].record_vote(vote)

    def regenerate(self, write: Writer, iteration: int, num_prompts: int = 64) -> dict[str, float]:
        """
        Fills the slots with instructions that the policy writes.

        Args:
            write (`Callable[[list[Prompt], int], list[Reply]]`):
                Generates one reply for each prompt, given a seed for its sampling.
            iteration (`int`):
                Number of the iteration, from 0. In iteration 0 only seeds are shown.
            num_prompts (`int`, *optional*, defaults to `64`):
                Most prompts handed to `write` at a time.

        Returns:
            `dict[str, float]`: Metrics: how many were written and kept, and the share that each filter rejected.

        Raises:
            RuntimeError: If not one instruction passed the filters.
        """
        rng = random.Random(f"{self.seed}/{iteration}")
        self.archive.add(self.iteration + 1, self.written)
        self.iteration, written_before = iteration, list(self._kept)
        self.queue, self.written = [], []
        self._num_kept_of_seed.clear()
        counts: Counter[str] = Counter()
        max_replies = MAX_REPLIES_PER_INSTRUCTION * self.num_instructions
        while len(self.queue) < self.num_instructions and counts["replies"] < max_replies:
            missing = self.num_instructions - len(self.queue)
            choice = self.deck, written_before, self.num_few_shot, self.seed_fraction, rng
            shown = [few_shot_choice(*choice) for _ in range(min(num_prompts, missing + missing // 4 + 1))]
            replies = write([self._writing_prompt(texts) for texts in shown], rng.getrandbits(32))
            counts["replies"] += len(replies)
            for texts, reply in zip(shown, replies, strict=True):
                self._collect(texts, reply, counts)
        if not self.queue:
            raise RuntimeError(
                f"None of the {counts['written']} instructions that {counts['replies']} replies hold passed the filters "
                f"({self._rejections(counts)}). Look at what the model writes, and loosen the filter that ate most."
            )
        return self._metrics(counts)

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
            if len(self.queue) == self.num_instructions:
                return
            instruction = self._judged(text, shown)
            self.written.append(instruction)
            counts["written"] += 1
            if instruction.is_kept:
                self.queue.append(instruction)
                self._kept.append(text)
                assert instruction.seed_parent is not None  # as _judged has it
                self._num_kept_of_seed[instruction.seed_parent] += 1
                self._ancestors.setdefault(text, self._ancestors[instruction.seed_parent])
                tell_filters(self.filters, [text])
            else:
                counts[next(name for name, verdict in instruction.verdicts.items() if not verdict.kept)] += 1

    def _judged(self, text: str, shown: list[str]) -> Instruction:
        """An instruction with its seed parent and what the filters say."""
        seed = _instruction_text(self._ancestors[closest_text(text, shown)])
        instruction = Instruction(text, "generated", shown, apply_filters(text, self.filters), seed_parent=seed)
        if self.max_per_seed is not None and instruction.is_kept:
            num_kept = self._num_kept_of_seed[seed]
            is_kept = num_kept < self.max_per_seed
            instruction.verdicts[SEED_CAP] = Verdict(is_kept, None if is_kept else "seed_used_up", num_kept)
        return instruction

    @property
    def _filter_names(self) -> list[str]:
        cap = [] if self.max_per_seed is None else [SEED_CAP]
        return [PARSE_FILTER, *(f.name for f in self.filters), *cap]

    def _rejections(self, counts: Counter[str]) -> str:
        return ", ".join(f"{name}: {counts[name]}" for name in self._filter_names)

    def _metrics(self, counts: Counter[str]) -> dict[str, float]:
        shares = {
            f"serl/filter/frac_rejected_{name}": counts[name] / max(counts["written"], 1)
            for name in self._filter_names
        }
        totals = {"num_written": counts["written"], "num_kept": len(self.queue), "num_ever_kept": len(self._kept)}
        drift = self._drift.measure([i.text for i in self.queue], [i.seed_parent for i in self.queue])
        return {**{f"serl/instructions/{name}": float(total) for name, total in totals.items()}, **shares, **drift}


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
        if isinstance(prompt, str) != isinstance(prompts[0], str):
            raise ValueError(
                f"Seed {i} is {prompt!r} and seed 0 is {prompts[0]!r}; give all as text or all as messages."
            )
    return prompts


def _instruction_text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]

"""`InstructionSettings`: the settings that a [`SelfInstructDataset`] reads; [`SeRLConfig`] says what each means."""

from typing import Protocol


class InstructionSettings(Protocol):
    """A configuration that has these settings: [`SeRLConfig`] is one."""

    num_instructions: int
    num_few_shot: int
    seed_fraction: float
    max_instructions_per_seed: int | None
    seed: int

    # of the filters
    min_instruction_words: int
    max_instruction_words: int
    banned_words: list[str]
    novelty_threshold: float
    novelty_tokenizer: str
    novelty_crowding_penalty: float
    embedding_model: str | None
    semantic_novelty_threshold: float | None

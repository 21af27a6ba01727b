"""`SeRLConfig`: TRL's `GRPOConfig` with the settings of SeRL, its defaults those of the paper and its script."""

from dataclasses import dataclass, field
from typing import Any

from transformers.utils import is_torch_bf16_gpu_available
from trl import GRPOConfig

from ..instructions import BANNED_WORDS, TOKENIZERS
from .advantages import ADVANTAGE_ESTIMATORS
from .batch_sizes import fit_sizes, given_sizes
from .novelty_settings import check_novelty_options
from .preflight import check_continuous_batching


OFFICIAL_GENERATION_BATCH_SIZE = 256  # completions per process: 16 prompts x 16 rollouts (official script)
REGENERATE = ("epoch", "step")
DIFFICULTY_FILTERS = ("rollout", "ahead")
COSINES = ("cosine_warmup_with_min_lr", "cosine_with_min_lr")  # they need a minimum


@dataclass
class SeRLConfig(GRPOConfig):
    r"""
    Configuration of [`SeRLTrainer`]: every argument of [`~trl.GRPOConfig`], and those below.

    Defaults are the paper's (arXiv 2505.20347) or the official script's, named beside each value. An iteration of
    SeRL is an epoch of the trainer: `num_train_epochs` counts them. `generation_batch_size` defaults to 256 per
    process, or, where whole groups, batches or `num_instructions` do not fit that, to the size closest to it that they fit;
    a size counts as set if it is not the default.

    Args:
        advantage_estimator (`str`, *optional*, defaults to `"reinforce++"`):
            One of `"reinforce++"`, `"reinforce++_baseline"`, `"rloo"`, `"grpo"`, `"dr_grpo"`.
        kl_placement (`str`, *optional*, defaults to `"auto"`):
            `"reward"` subtracts `beta` times the per-token k1 estimate from the reward, `"loss"` adds `beta` times
            TRL's k3 estimate to the loss; `"auto"` is what the official scripts do with each estimator. Either fits any.
        self_instruct (`bool`, *optional*, defaults to `True`):
            Whether the policy writes new instructions to train on. `False` trains on the prompts as they are.
        regenerate (`str`, *optional*, defaults to `"epoch"`):
            When it writes: `"epoch"` at the start of every epoch, `"step"` just before every rollout.
        num_instructions (`int`, *optional*, defaults to `2000`):
            Groups rolled out to be trained on, per iteration.
        reserve_fraction (`float`, *optional*, defaults to `0.6`):
            How many instructions more are written, as a share of those, to replace groups outside the band.
        min_instruction_fraction (`float`, *optional*, defaults to `0.1`):
            Share of those below which an iteration is not begun: training then stops with an error that says which filter
            rejected what.
        num_few_shot (`int`, *optional*, defaults to `8`):
            Instructions shown in a prompt that asks for a new one.
        seed_fraction (`float`, *optional*, defaults to `0.25`):
            Share of those that are seeds; the others were written in earlier iterations.
        novelty_threshold (`float`, *optional*, defaults to `0.7`):
            Highest ROUGE-L F1 with a seed or an instruction kept earlier.
        novelty_tokenizer (`str`, *optional*, defaults to `"rouge"`):
            Words that this compares: `"rouge"`, runs of a to z and digits as in rouge-score, or `"unicode"`, for
            instructions in other languages than English.
        min_instruction_words, max_instruction_words (`int`, *optional*, default to `4` and `150`):
            Bounds on the length of an instruction, in words; see [`~words.num_words`] for scripts without spaces.
        banned_words (`list[str]`, *optional*):
            Words and phrases that reject an instruction.
        min_vote_share, max_vote_share (`float`, *optional*, default to `0.2` and `0.8`):
            Groups whose vote share lies outside are not trained on; 0 and 1 switch the gate off.
        difficulty_filter (`str`, *optional*, defaults to `"rollout"`):
            Where the band makes its choice. `"rollout"`: the training rollouts are the votes, and groups outside the band are
            replaced by groups for further instructions. `"ahead"`: each instruction is voted on with `num_generations`
            samples as it is written, and one outside the band is rejected as by any other filter; a group that its training
            rollouts then put outside the band is left out, but not replaced.
        max_refill_rounds (`int`, *optional*, defaults to `3`):
            Most rounds of rollouts that replace groups, per generation batch; 0 switches this off.
        instruction_temperature, instruction_top_p (`float`, *optional*, default to `0.8` and `0.95`):
            Sampling settings while instructions are written.
        instruction_presence_penalty (`float`, *optional*, defaults to `2.0`):
            Presence penalty while instructions are written; vLLM only.
        max_instruction_length (`int`, *optional*, defaults to `512`):
            Most tokens of a reply that holds new instructions.
        novelty_crowding_penalty (`float`, *optional*, defaults to `0.0`):
            What is added to an instruction's similarity for the share of seeds and instructions ever kept that resemble
            it (ROUGE-L F1 above 0.5), times this.
        max_instructions_per_seed (`int`, *optional*):
            Most instructions an iteration keeps that descend from the same seed.
        embedding_model (`str`, *optional*):
            A sentence-transformers model (extra `embeddings`), by which drift is measured; without it by TF-IDF.
        semantic_novelty_threshold (`float`, *optional*):
            Highest cosine, by `embedding_model`, with a seed or an instruction kept earlier.
        share_prompts (`bool`, *optional*, defaults to `True`):
            Whether a prompt is computed once for all of its completions also in the pass with gradient ([`TokenLogprobs`]).
            The micro-batches of a step then hold whole groups, where they fit, in random order. Log-probabilities without
            gradient are computed in this way whatever is set. The loss `bnpo` and the entropy bonus are then means over the
            whole step, not over each micro-batch.

    Raises:
        ValueError: For a setting out of range, or one of TRL's that the chosen estimator would ignore.

    Source: paper section 4.1 and the official training script; `per_device_train_batch_size`,
    `gradient_accumulation_steps` and `generation_batch_size` give that script's 16 optimiser steps of 16 completions
    for each 256 rollouts.

    Example:

    ```python
    >>> args = SeRLConfig(output_dir="out", use_cpu=True)
    >>> args.advantage_estimator, args.num_generations, args.num_train_epochs, args.generation_batch_size
    ('reinforce++', 16, 3, 256)

    ```
    """

    # TRL's and Transformers' own arguments, with the values of the paper and the official script
    learning_rate: float = field(default=5e-7, metadata={"help": "Initial learning rate (official script: 5e-7)."})
    lr_scheduler_type: str = field(
        default="cosine_warmup_with_min_lr",
        metadata={
            "help": "Learning rate schedule (official script: cosine down to a tenth, as 'cosine_with_min_lr', whose first "
            "step has learning rate 0; this one is a step ahead)."
        },
    )
    warmup_steps: float = field(
        default=0.03,
        metadata={"help": "Warm-up steps, or their share of all steps if below 1 (official script: 0.03)."},
    )
    adam_beta2: float = field(default=0.95, metadata={"help": "Beta2 of AdamW (official script: 0.95)."})
    num_train_epochs: float = field(default=3, metadata={"help": "Iterations of SeRL (paper: 3)."})
    per_device_train_batch_size: int = field(
        default=8, metadata={"help": "Completions per process and forward pass (official script: 16 a step in all)."}
    )
    gradient_accumulation_steps: int = field(
        default=2, metadata={"help": "Forward passes per optimiser step (official script: 16 completions a step)."}
    )
    num_generations: int | None = field(
        default=16, metadata={"help": "Completions per prompt; they are also the votes (paper: 16)."}
    )
    max_completion_length: int | None = field(
        default=1024, metadata={"help": "Most tokens of a completion (official script: 1024)."}
    )
    beta: float = field(default=1e-3, metadata={"help": "Coefficient of the KL term (official script: 1e-3)."})
    loss_type: str = field(
        default="dapo",
        metadata={"help": "TRL's loss; 'dapo' is a mean over tokens. Estimator 'dr_grpo' replaces it by 'dr_grpo'."},
    )

    # What SeRL adds
    advantage_estimator: str = field(
        default="reinforce++",
        metadata={
            "help": "How rewards become advantages (paper: reinforce++ is the most stable).",
            "choices": list(ADVANTAGE_ESTIMATORS),
        },
    )
    kl_placement: str = field(
        default="auto",
        metadata={
            "help": "Where the KL term goes; 'auto' puts it in the reward for reinforce++, reinforce++_baseline and "
            "rloo, and in the loss for grpo and dr_grpo (official scripts).",
            "choices": ["auto", "reward", "loss"],
        },
    )
    self_instruct: bool = field(
        default=True, metadata={"help": "Whether the policy writes new instructions to train on."}
    )
    regenerate: str = field(
        default="epoch",
        metadata={
            "help": "When it writes: 'epoch' at the start of every epoch (paper: iterations), 'step' just before every "
            "rollout (official code).",
            "choices": list(REGENERATE),
        },
    )
    num_instructions: int = field(
        default=2000, metadata={"help": "Groups rolled out to be trained on, per iteration (official script: 2000)."}
    )
    reserve_fraction: float = field(
        default=0.6,
        metadata={
            "help": "How many instructions more are written, as a share of num_instructions, to replace groups outside the "
            "band (ours: the band keeps 60 to 70 percent in the paper, and 1 / 1.6 is 62)."
        },
    )
    min_instruction_fraction: float = field(
        default=0.1,
        metadata={
            "help": "Share of num_instructions below which training stops with an error (ours: with 1 in 160 the steps "
            "moved hardly anything, lab notes)."
        },
    )
    num_few_shot: int = field(
        default=8, metadata={"help": "Instructions shown in a prompt that asks for a new one (paper: 8)."}
    )
    seed_fraction: float = field(
        default=0.25, metadata={"help": "Share of those that are seeds, from the second iteration on (paper: 1/4)."}
    )
    novelty_threshold: float = field(
        default=0.7, metadata={"help": "Highest ROUGE-L F1 with any seed or instruction kept earlier (paper: 0.7)."}
    )
    novelty_tokenizer: str = field(
        default="rouge",
        metadata={"help": "Words it compares: 'rouge' (a to z and digits; official code) or 'unicode' (any script)."},
    )
    min_instruction_words: int = field(default=4, metadata={"help": "Fewest words (official code: 4)."})
    max_instruction_words: int = field(default=150, metadata={"help": "Most words (official code: 150)."})
    banned_words: list[str] = field(
        default_factory=lambda: list(BANNED_WORDS),
        metadata={"help": "Words and phrases that reject an instruction (official code's list)."},
    )
    min_vote_share: float = field(
        default=0.2, metadata={"help": "Groups with a lower vote share are not trained on (paper: 0.2)."}
    )
    max_vote_share: float = field(
        default=0.8, metadata={"help": "Groups with a higher vote share are not trained on (paper: 0.8)."}
    )
    difficulty_filter: str = field(
        default="rollout",
        metadata={
            "help": "Where the band of vote shares chooses: 'rollout' replaces groups by their training rollouts' votes, "
            "'ahead' votes as instructions are written (official code) and rejects those outside.",
            "choices": list(DIFFICULTY_FILTERS),
        },
    )
    max_refill_rounds: int = field(
        default=3,
        metadata={
            "help": "Most rounds of rollouts that replace groups outside the band, per generation batch; 0 for none (ours: "
            "where 60 percent are kept, 3 leave 3 percent of the batch to be masked)."
        },
    )
    instruction_temperature: float = field(
        default=0.8, metadata={"help": "Temperature while instructions are written (official code: 0.8)."}
    )
    instruction_top_p: float = field(
        default=0.95, metadata={"help": "Nucleus while instructions are written (official code: 0.95)."}
    )
    instruction_presence_penalty: float = field(
        default=2.0,
        metadata={"help": "Presence penalty while instructions are written, vLLM only (official code: 2)."},
    )
    max_instruction_length: int = field(
        default=512, metadata={"help": "Most tokens of a reply that holds new instructions."}
    )
    novelty_crowding_penalty: float = field(
        default=0.0,
        metadata={
            "help": "Added to the similarity of an instruction: this times the share of seeds and instructions ever kept "
            "that resemble it. Default: off (ours)."
        },
    )
    max_instructions_per_seed: int | None = field(
        default=None,
        metadata={
            "help": "Most instructions an iteration keeps that descend from the same seed. Default: any number."
        },
    )
    embedding_model: str | None = field(
        default=None,
        metadata={
            "help": "sentence-transformers model that measures drift, and novelty with semantic_novelty_threshold; needs "
            "the extra 'embeddings'. Default: drift is measured by TF-IDF."
        },
    )
    semantic_novelty_threshold: float | None = field(
        default=None,
        metadata={
            "help": "Highest cosine, by embedding_model, with any seed or instruction kept earlier. Default: any."
        },
    )
    share_prompts: bool = field(
        default=True,
        metadata={
            "help": "Whether a prompt is computed once for all of its completions in the pass with gradient, too (ours)."
        },
    )

    def __post_init__(self):
        """Fills in what depends on other arguments, then checks what SeRL adds."""
        if self.bf16 is None:  # TRL assumes a GPU that has it
            self.bf16 = not self.fp16 and (self.use_cpu or is_torch_bf16_gpu_available())
        if self.lr_scheduler_type in COSINES and self.lr_scheduler_kwargs is None:
            self.lr_scheduler_kwargs = {"min_lr_rate": 0.1}  # official script
        if self.advantage_estimator == "dr_grpo" and self.loss_type == "dapo":
            self.loss_type = "dr_grpo"
        self._given_sizes = given_sizes(self)
        # TRL checks sizes as soon as it knows how many processes there are; these fit whatever their number is
        self.generation_batch_size, self.steps_per_generation = None, self.num_generations
        whole_group = self.num_generations_eval or self.num_generations
        assert whole_group is not None  # `given_sizes` has refused it
        self.per_device_eval_batch_size = whole_group
        super().__post_init__()
        self.fit_sizes(self.num_instructions if self.self_instruct else None)
        check_continuous_batching(self)
        self._check_choices()
        self._check_ranges()
        check_novelty_options(self)

    def fit_sizes(self, num_prompts: int | None = None) -> None:
        """
        Chooses the sizes that the user has not set so that they fit those that are set, and the number of processes.

        Args:
            num_prompts (`int`, *optional*): Prompts of an epoch, of which a generation batch cannot hold more.

        Raises:
            ValueError: If what is set does not fit, with sizes that would.
        """
        fit_sizes(self, self._given_sizes, OFFICIAL_GENERATION_BATCH_SIZE, num_prompts)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the token out of `training_args.bin`, which is pushed with the model."""
        return {**self.__dict__, "hub_token": None}

    @property
    def is_gated(self) -> bool:
        """Whether some vote shares are rejected."""
        return self.min_vote_share > 0 or self.max_vote_share < 1

    @property
    def is_refilled(self) -> bool:
        """Whether groups outside the band are replaced."""
        return self.is_gated and self.difficulty_filter == "rollout" and self.max_refill_rounds > 0

    @property
    def is_kl_in_reward(self) -> bool:
        """Whether the KL term is part of the token rewards; else it is part of the loss."""
        if self.kl_placement == "auto":
            return self.advantage_estimator in ("reinforce++", "reinforce++_baseline", "rloo")
        return self.kl_placement == "reward"

    @property
    def has_trl_advantages(self) -> bool:
        """Whether TRL's own advantages are trained on: those of GRPO, without a gate or a KL term in the reward."""
        return self.advantage_estimator == "grpo" and not self.is_gated and not (self.is_kl_in_reward and self.beta)

    @property
    def num_prompts_per_generation(self) -> int:
        """Prompts rolled out at once, over all processes."""
        assert self.generation_batch_size is not None and self.num_generations is not None  # noqa: PT018 (set by TRL)
        return self.generation_batch_size // self.num_generations

    def _check_choices(self) -> None:
        if self.advantage_estimator not in ADVANTAGE_ESTIMATORS:
            raise ValueError(
                f"advantage_estimator is {self.advantage_estimator!r}; choose one of {', '.join(ADVANTAGE_ESTIMATORS)}."
            )
        for name, choices in (
            ("kl_placement", ("auto", "reward", "loss")),
            ("regenerate", REGENERATE),
            ("difficulty_filter", DIFFICULTY_FILTERS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}.")
        if self.novelty_tokenizer not in TOKENIZERS:
            raise ValueError(
                f"novelty_tokenizer is {self.novelty_tokenizer!r}; choose one of {', '.join(TOKENIZERS)}."
            )
        for name, default in (("scale_rewards", "group"), ("multi_objective_aggregation", "sum_then_normalize")):
            value = getattr(self, name)
            if value != default and not self.has_trl_advantages:
                raise ValueError(
                    f"{name}={value!r} would be ignored: advantage_estimator={self.advantage_estimator!r} does its own "
                    f"scaling. Leave {name} unset, or use advantage_estimator='grpo' with min_vote_share=0, "
                    "max_vote_share=1 and the KL term in the loss, which leaves TRL's advantages as they are."
                )
        if self.dataloader_persistent_workers:
            raise ValueError(
                "dataloader_persistent_workers=True keeps copies of the dataset that miss new instructions; "
                "set it to False."
            )

    def _check_ranges(self) -> None:
        if not 0 <= self.min_vote_share <= self.max_vote_share <= 1:
            raise ValueError(
                f"min_vote_share={self.min_vote_share} and max_vote_share={self.max_vote_share} must satisfy "
                "0 <= min_vote_share <= max_vote_share <= 1."
            )
        if not 0 <= self.seed_fraction <= 1:
            raise ValueError(f"seed_fraction is {self.seed_fraction}; it is a share, between 0 and 1.")
        if not 0 < self.novelty_threshold <= 1:
            raise ValueError(f"novelty_threshold is {self.novelty_threshold}; ROUGE-L thresholds lie in (0, 1].")
        if not 0 < self.min_instruction_words <= self.max_instruction_words:
            raise ValueError(
                f"min_instruction_words={self.min_instruction_words} and max_instruction_words="
                f"{self.max_instruction_words} must satisfy 0 < min <= max."
            )
        if self.reserve_fraction < 0 or self.max_refill_rounds < 0:
            raise ValueError(
                f"reserve_fraction={self.reserve_fraction} and max_refill_rounds={self.max_refill_rounds} must not be "
                "negative; 0 switches refilling off."
            )
        if not 0 < self.min_instruction_fraction <= 1:
            raise ValueError(
                f"min_instruction_fraction is {self.min_instruction_fraction}; it is a share, above 0 and at most 1."
            )
        if self.num_few_shot < 1:
            raise ValueError(f"num_few_shot is {self.num_few_shot}; show at least 1 instruction.")

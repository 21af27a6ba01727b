"""Our arguments of `serl-trl train`, besides the trainer's; no PyTorch here, so that `--help` is quick."""

from dataclasses import dataclass, field

from trl import ScriptArguments

from ..answers import ANSWER_TYPES, answer_kind
from .named_files import check_one_source


REWARD_NAMES = ("vote", "truth", "coin_flip", "box")  # what they are is in train_rewards.py
COLLAPSE_ACTIONS = ("off", "warn", "stop", "restore")  # off, and what `monitoring.CollapseGuard` can do


@dataclass
class SeRLScriptArguments(ScriptArguments):
    """Where prompts come from, how they are put to the model, and what is measured."""

    seed_file: str | None = field(
        default=None,
        metadata={
            "help": "JSON Lines file of unlabelled prompts, each line with a field 'prompt', 'problem' or 'question'. "
            "Without it and without --dataset_name the prompts are the laboratory's word problems."
        },
    )
    num_seeds: int | None = field(
        default=None,
        metadata={"help": "Use only this many prompts, drawn with --seed. Default: all (laboratory: 200)."},
    )
    prompt_template: str | None = field(
        default=None,
        metadata={
            "help": "YAML file with the keys 'user' (a text with {instruction}), 'system' and 'examples' (a list of "
            "'instruction' and 'response', shown as earlier turns), 'continues_list' (true: new prompts are asked for "
            "by an unfinished list as plain text); or the name smollm2_prompt. Default: the bare prompt as a user "
            "message, or as plain text if the tokenizer has no chat template."
        },
    )
    filters: list[str] = field(
        default_factory=list,
        metadata={"help": "Further filters of written prompts, each MODULE:NAME of an object with a name and a call."},
    )
    eval_file: str | None = field(
        default=None,
        metadata={
            "help": "JSON Lines file of problems with a field 'answer', for the tables before and after; training never "
            "sees it. Default: held-out word problems in the laboratory, else nothing is measured."
        },
    )
    num_eval_problems: int = field(default=512, metadata={"help": "Problems in the tables before and after."})
    num_eval_samples: int = field(default=16, metadata={"help": "Samples per problem there (the k of maj@k)."})
    watched_sets: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Further labelled sets, of another domain for example, to see what is forgotten: names, NAME=FILE or files, "
            "as for --datasets of `serl-trl evaluate`."
        },
    )
    eval_every: int = field(
        default=0,
        metadata={
            "help": "Also measure some problems of each set every so many optimiser steps; 0: only as iterations end."
        },
    )
    num_interim_problems: int = field(
        default=128, metadata={"help": "Problems of each set that are measured while training; 0: none."}
    )
    eval_batch_size: int = field(default=256, metadata={"help": "Completions generated at a time while measuring."})
    answer_type: str = field(
        default="math",
        metadata={
            "help": "What answers are: 'math' (expressions), 'number', 'choice' (a letter from A to J) or 'text'.",
            "choices": list(ANSWER_TYPES),
        },
    )
    reward_funcs: list[str] = field(
        default_factory=lambda: ["vote"],
        metadata={
            "help": "Rewards: 'vote' (majority vote, no labels), 'truth' (column 'answer'), and the control arms "
            "'coin_flip' and 'box' (1 for any boxed answer). Weigh several with --reward_weights; the gate reads the "
            "vote even at weight 0."
        },
    )
    num_votes: int | None = field(
        default=None,
        metadata={"help": "Completions that vote on each prompt; those beyond --num_generations are not trained on."},
    )
    soft_votes: bool = field(
        default=False,
        metadata={"help": "Whether the reward of a vote is the share of the completion's own answer, not 1 or 0."},
    )
    collapse_guard: str = field(
        default="warn",
        metadata={
            "help": "What happens when the votes look as if they collapse, judged without labels: 'warn', 'stop', 'restore' (stop, "
            "and go back to the last checkpoint without a sign), or 'off'.",
            "choices": list(COLLAPSE_ACTIONS),
        },
    )
    num_probes: int = field(
        default=128, metadata={"help": "Seeds that the policy answers again and again for it, one greedy answer each."}
    )
    probe_every: int = field(default=5, metadata={"help": "Optimiser steps between two of these looks."})
    merge_adapter: bool = field(
        default=False,
        metadata={
            "help": "Whether to save (and push) the adapter of --use_peft merged into its base, too, as OUTPUT_DIR-merged."
        },
    )

    def __post_init__(self):
        check_one_source(self.seed_file, self.dataset_name)
        answer_kind(self.answer_type)  # raises if there is no such type
        unknown = set(self.reward_funcs) - set(REWARD_NAMES)
        if unknown:
            raise ValueError(
                f"--reward_funcs has {', '.join(sorted(unknown))}; choose from {', '.join(REWARD_NAMES)}."
            )
        if (self.num_votes is not None or self.soft_votes) and "vote" not in self.reward_funcs:
            raise ValueError(
                "--num_votes and --soft_votes are about the reward 'vote', which --reward_funcs lacks; add it."
            )

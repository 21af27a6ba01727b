"""Labels for written instructions without training: the majority vote of the policy's own answers."""

from typing import Any

from accelerate.utils import gather_object

from .filters import DifficultyGate, Verdict
from .prompts import Prompt
from .random_state import isolated_random_state
from .rewards import MajorityVoteReward
from .voting import Completion, Vote


def label_instructions(trainer: Any, reward: MajorityVoteReward, seed: int) -> None:
    """
    Votes on every instruction of the current iteration and notes the vote with it.

    The verdict of the difficulty gate joins those of the filters, under its name: an instruction outside the band, or
    without any answer, is no longer kept.

    Args:
        trainer ([`SeRLTrainer`]): Whose policy answers, through TRL's generation with the sampling settings of rollouts. Its
            `train_dataset`, a [`SelfInstructDataset`], has been filled by `regenerate_instructions`.
        reward ([`MajorityVoteReward`]): Takes the votes.
        seed (`int`): Of the samples. No random state outside is moved.
    """
    args, dataset = trainer.args, trainer.train_dataset
    gate = DifficultyGate(args.min_vote_share, args.max_vote_share)
    size = args.num_prompts_per_generation
    for start in range(0, len(dataset.queue), size):
        indices = range(start, min(start + size, len(dataset.queue)))
        votes = _votes(trainer, reward, [dataset.prompt(i) for i in indices], seed + 1_000_003 * start)
        for i, vote in zip(indices, votes, strict=True):
            dataset.record_vote(i, vote)
            has_answer = vote.answer is not None
            dataset.queue[i].verdicts[gate.name] = gate(vote.share) if has_answer else Verdict(False, "no_answer", 0.0)


def _votes(trainer: Any, reward: MajorityVoteReward, prompts: list[Prompt], seed: int) -> list[Vote]:
    """The vote on each prompt, the same on every process; each process generates for its share of the rows."""
    rows = [prompt for prompt in prompts for _ in range(trainer.num_generations)]
    num_processes, rank = trainer.accelerator.num_processes, trainer.accelerator.process_index
    size = -(-len(rows) // num_processes)
    local = (rows + rows[: size * num_processes - len(rows)])[rank * size : (rank + 1) * size]
    was_training = trainer.model.training
    trainer.model.eval()
    try:
        with isolated_random_state(seed + rank):
            ids, images, fields = trainer._tokenize_prompts(local)
            completion_ids, _ = trainer._generate_single_turn(ids, images, fields, num_generations=1)
    finally:
        trainer.model.train(was_training)
    texts = trainer._tokenizer.batch_decode(completion_ids, skip_special_tokens=True)
    completions: list[Completion] = gather_object(texts)[: len(rows)]
    groups = range(0, len(rows), trainer.num_generations)
    return [reward.vote(completions[start : start + trainer.num_generations]) for start in groups]

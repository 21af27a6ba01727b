"""Rollouts known in advance, in the place of generation: what the trainer makes of them can then be told exactly."""

import random

import serl_trl.rollouts.batch_source
from serl_trl.laboratory import word_problems
from serl_trl.types import Reply, Rollout


ANSWERS = {
    "even": [7, 7, 8, 8],
    "easy": [7, 7, 7, 7],
    "three": [7, 7, 7, 8],
    "hard": [1, 2, 3, 4],
}  # of groups of four


def script(monkeypatch, trainer, problems):
    """
    Has the trainer's policy write these problems, each a number and a kind, and answer them as `ANSWERS` says.

    Returns what was rolled out, round by round. Problems and answers differ in length from number to number.
    """
    texts = word_problems(1 + max(number for number, _ in problems), "scripted")["prompt"][:]
    kinds = dict(problems)
    replies = iter([texts[number] for number, _ in problems])
    monkeypatch.setattr(
        serl_trl.rollouts.batch_source,
        "written_replies",
        lambda trainer, prompts, seed: [Reply(next(replies, "No.")) for _ in prompts],
    )
    rounds = []

    def rollouts(trainer, prompts):
        numbers = [texts.index(prompt[-1]["content"]) for prompt in prompts]
        rounds.append(numbers)
        groups = [[_rollout(trainer, number, answer) for answer in ANSWERS[kinds[number]]] for number in numbers]
        return groups, sum(map(len, groups))

    monkeypatch.setattr(serl_trl.rollouts.batch_source, "rollouts", rollouts)
    return rounds


def _rollout(trainer, number, answer):
    thought = random.Random(f"{number}/{answer}").choices(["Sam", "has", "4", "toys"], k=1 + number % 3)
    text = " ".join(thought) + f". \\boxed{{{answer}}}"
    ids = [*trainer.processing_class.encode(text, add_special_tokens=False), trainer.processing_class.eos_token_id]
    content = trainer.processing_class.decode(ids, skip_special_tokens=True)
    return Rollout(ids, None, [{"role": "assistant", "content": content}])


SCRIPTED = {  # four groups a batch; nothing of what is scripted is filtered
    "num_instructions": 4,
    "reserve_fraction": 4.0,
    "min_vote_share": 0.3,
    "novelty_threshold": 1.0,
    "max_instruction_words": 999,
    "min_instruction_fraction": 0.01,
}

"""The rewards of `--reward_funcs`: vote and truth, and two control arms that know nothing about answers."""

import random
import re
from typing import Any

from accelerate import PartialState

from .. import GroundTruthReward, MajorityVoteReward
from .train_arguments import SeRLScriptArguments


class CoinFlip:
    """A control arm: a reward that knows nothing. Its state goes into checkpoints."""

    __name__ = "coin_flip_reward"

    def __init__(self, seed: int, script_args: SeRLScriptArguments) -> None:
        self.rng = random.Random(seed + PartialState().process_index)

    def __call__(self, completions: list, **kwargs: Any) -> list[float]:
        return [float(self.rng.random() < 0.5) for _ in completions]

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self.rng.getstate()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        version, numbers, gauss = state["rng"]
        self.rng.setstate((version, tuple(numbers), gauss))


def box(seed: int, script_args: SeRLScriptArguments) -> Any:
    """A control arm: a reward for the form alone."""

    def box_reward(completions: list, **kwargs: Any) -> list[float]:
        texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
        return [float(re.search(r"\\boxed\{[^{}]+\}", text) is not None) for text in texts]

    return box_reward


REWARDS = {
    "vote": lambda seed, script_args: MajorityVoteReward(
        script_args.answer_type, num_votes=script_args.num_votes, soft=script_args.soft_votes
    ),
    "truth": lambda seed, script_args: GroundTruthReward(script_args.answer_type),
    "coin_flip": CoinFlip,
    "box": box,
}

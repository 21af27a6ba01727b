"""A policy that writes random words, in the place of generation: all that it writes is novel."""

import random

from serl_trl.types import Reply


WORDS = [
    "amber",
    "basil",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heron",
    "islet",
    "jewel",
    "knoll",
    "lemur",
    "mango",
    "nylon",
    "ocean",
    "pearl",
    "quilt",
    "river",
]
SEEDS = [" ".join(random.Random(i).sample(WORDS, 8)) for i in range(12)]


def novel_writer(prompts, seed):
    rng = random.Random(seed)
    return [Reply("9. " + " ".join(rng.sample(WORDS, 9))) for _ in prompts]

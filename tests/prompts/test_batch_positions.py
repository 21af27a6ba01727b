"""Rows stay in a batch where its longest row scales the positions of all."""

from typing import Any

import pytest
from transformers import GenerationConfig, LlamaConfig, Phi3Config

from serl_trl.prompts.generation import group_generation
from written_tokens import SIZES, count_work, padded, random_model, written


LONG_ROPE: dict[str, Any] = {
    "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 20,
    "short_factor": [1.0] * 4, "long_factor": [3.0] * 4,
}  # fmt: skip
DYNAMIC_ROPE: dict[str, Any] = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
SCALED = {
    "longrope": Phi3Config(**SIZES, rope_parameters=LONG_ROPE, original_max_position_embeddings=20),
    "dynamic": LlamaConfig(**{**SIZES, "max_position_embeddings": 20}, rope_parameters=DYNAMIC_ROPE),
}


@pytest.mark.parametrize("kind", SCALED)
def test_rows_do_not_leave_a_batch_whose_longest_row_scales_their_positions(kind):
    """Long rows end early, and the short ones go on as they do beside them; Phi-3 computes its cache again at the switch."""
    asked = padded([list(range(10, 26))] * 2 + [[7, 8, 9]] * 6)
    config = GenerationConfig(
        max_new_tokens=40, do_sample=True, top_k=0, eos_token_id=list(range(3, 9)), pad_token_id=0
    )
    for seed in range(4):  # models of their own: dynamic scaling remembers how long rows have been
        expected, next_expected = written(random_model(SCALED[kind]), asked, config, seed)
        found, next_found = written(random_model(SCALED[kind]), asked, config, seed, group_generation)
        assert found.tolist() == expected.tolist()
        assert next_found == next_expected


def test_rows_leave_as_long_as_positions_are_not_scaled():
    model, asked = random_model(SCALED["longrope"]), padded([[7, 8, 9]] * 8)
    config = GenerationConfig(
        max_new_tokens=15, do_sample=True, top_k=0, eos_token_id=list(range(3, 20)), pad_token_id=0
    )
    assert count_work(model, asked, config, group_generation)[-1] < 8

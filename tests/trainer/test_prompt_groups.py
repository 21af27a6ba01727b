import copy

import torch
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.trainer.prompt_groups import gather_groups


@st.composite
def micro_batches(draw):
    num_batches, size = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    prompts = draw(st.lists(st.integers(0, 3), min_size=num_batches * size, max_size=num_batches * size))
    batches = []
    for i in range(num_batches):
        own = torch.tensor(prompts[i * size : (i + 1) * size])
        row = torch.arange(i * size, (i + 1) * size)
        batches.append(
            {
                "prompt_ids": torch.stack([row, own, own + 1], dim=1),  # the first column is padding, and differs
                "prompt_mask": torch.tensor([[0, 1, 1]] * size),
                "row": row,
                "words": [f"row {j}" for j in row.tolist()],
                "num_items_in_batch": torch.tensor(7),
                "nothing": None,
            }
        )
    return batches, prompts


@given(micro_batches())
def test_rows_of_a_prompt_follow_each_other_in_the_order_in_which_they_came(drawn):
    batches, prompts = drawn
    sizes = [len(batch["row"]) for batch in batches]
    gather_groups(batches, len(batches))
    rows = torch.cat([batch["row"] for batch in batches]).tolist()
    came = list(dict.fromkeys(prompts))
    assert rows == sorted(range(len(prompts)), key=lambda row: (came.index(prompts[row]), row))
    assert [len(batch["row"]) for batch in batches] == sizes
    for batch in batches:
        assert batch["words"] == [f"row {row}" for row in batch["row"].tolist()]
        assert batch["prompt_ids"][:, 0].tolist() == batch["row"].tolist()
        assert batch["num_items_in_batch"] == 7
        assert batch["nothing"] is None


@given(micro_batches(), st.integers(1, 8))
def test_rows_stay_in_their_optimiser_step(drawn, num_of_a_step):
    batches, _ = drawn
    before = [set(batch["row"].tolist()) for batch in batches]
    gather_groups(batches, num_of_a_step)
    after = [set(batch["row"].tolist()) for batch in batches]
    for rollout in range(3):  # steps may begin within the micro-batches of a rollout
        step_of = [(rollout * len(batches) + i) // num_of_a_step for i in range(len(batches))]
        for step in set(step_of):
            places = [i for i, own in enumerate(step_of) if own == step]
            assert set.union(*(after[i] for i in places)) == set.union(*(before[i] for i in places))


@given(micro_batches(), st.integers(1, 8))
def test_done_twice_it_changes_nothing(drawn, num_of_a_step):
    batches, _ = drawn
    gather_groups(batches, num_of_a_step)
    once = copy.deepcopy(batches)
    gather_groups(batches, num_of_a_step)
    assert all(torch.equal(a["row"], b["row"]) for a, b in zip(batches, once, strict=True))

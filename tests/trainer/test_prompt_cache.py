import torch

from serl_trl.trainer.prompt_cache import PromptCache, Rows, reason_not_to_share
from tiny_models import tiny_model


ROWS = Rows(
    ids=torch.tensor([[0, 0, 5, 6, 7, 0, 0], [0, 4, 5, 6, 8, 9, 0], [0, 0, 5, 6, 3, 0, 0], [0, 4, 5, 6, 0, 0, 0]]),
    mask=torch.tensor([[0, 0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0, 0]]),
    width=3,
)


def test_lengths_and_columns_of_rows():
    assert ROWS.prompt_lengths.tolist() == [2, 3, 2, 3]
    assert ROWS.completion_lengths.tolist() == [1, 2, 1, 0]
    assert ROWS.trimmed == (slice(1, 4), slice(4, 6))
    assert ROWS.of(torch.tensor([0, 2])).trimmed == (slice(2, 4), slice(4, 5))
    assert ROWS.of(torch.tensor([3])).trimmed == (slice(1, 4), slice(4, 5))


def test_prompts_differ_by_their_tokens_and_not_by_their_padding():
    index, firsts = ROWS.prompts
    assert index.tolist() == [0, 1, 0, 1]
    assert firsts.tolist() == [0, 1]
    padding = Rows(ROWS.ids + 2 * (1 - ROWS.mask), ROWS.mask, 3)
    assert padding.prompts[0].tolist() == [0, 1, 0, 1]


def test_one_column_of_padding_comes_in_place_of_all_of_it():
    padded = ROWS.of(torch.tensor([0, 2])).padded()
    assert padded.ids.tolist() == [[0, 5, 6, 7], [0, 5, 6, 3]]
    assert padded.mask.tolist() == [[0, 1, 1, 1]] * 2
    assert padded.width == 1


def test_a_cache_holds_each_prompt_once_and_is_read_by_every_row():
    model = tiny_model("llama")
    cache = PromptCache.computed(model, ROWS)
    assert cache.first == 1
    assert [layer.keys.shape[:3] for layer in cache.layers] == [(2, 2, 2)] * 2  # prompts, heads, columns
    keys, values = torch.randn(2, 4, 2, 3, 8)
    spread = cache.spread()
    for _ in range(2):  # reading leaves it as it is
        read_keys, read_values = spread.update(keys, values, 1)
        for row, prompt in enumerate([0, 1, 0, 1]):
            assert torch.equal(read_keys[row], torch.cat([cache.layers[1].keys[prompt], keys[row]], dim=1))
            assert torch.equal(read_values[row], torch.cat([cache.layers[1].values[prompt], values[row]], dim=1))
        assert spread.get_seq_length() == 2
        assert spread.get_mask_sizes(3, 0) == (5, 0)
    some = cache.of(torch.tensor([3, 0]))
    assert some.index.tolist() == [1, 0]
    assert some.layers is cache.layers


def test_attention_that_is_cut_at_fixed_places_is_not_trimmed():
    model = tiny_model("llama")
    assert reason_not_to_share(model) is None
    model.config.layer_types = ["chunked_attention", "full_attention"]
    assert reason_not_to_share(model) == "its attention is cut at fixed places, which trimming would move"
    model.config.layer_types = None
    model.config.num_kv_shared_layers = 1
    assert reason_not_to_share(model) == "its layers share their caches"

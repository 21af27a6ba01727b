import pytest

from serl_trl import SeRLConfig
from serl_trl.checkpoints.settings_check import changed_settings, digest, run_settings


def settings(facts=None, **kwargs):
    return run_settings(SeRLConfig("out", use_cpu=True, **kwargs), **(facts or {"num_processes": 2}))


def test_nothing_changed():
    assert changed_settings(settings(), settings()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 1}, "seed: 42 -> 1"),
        ({"num_generations": 8}, "num_generations: 16 -> 8"),
        ({"num_instructions": 64}, "num_instructions: 2000 -> 64"),
        ({"generation_batch_size": 512}, "generation_batch_size: 256 -> 512"),
        ({"facts": {"num_processes": 1}}, "num_processes: 2 -> 1"),
        ({"facts": {"num_processes": 2, "prompts": "x"}}, "prompts: None -> 'x'"),
    ],
)
def test_the_place_in_the_run_must_mean_the_same(change, words):
    with pytest.raises(ValueError, match=words):
        changed_settings(settings(), settings(**change))


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(ValueError, match=r"num_processes.*seed"):
        changed_settings(settings(), settings(seed=1, facts={"num_processes": 4}))


def test_other_changes_are_listed():
    changes = changed_settings(settings(), settings(learning_rate=1e-4, num_train_epochs=5, logging_steps=3))
    assert changes == ["num_train_epochs: 3 -> 5", "learning_rate: 5e-07 -> 0.0001"]


def test_another_version_is_listed():
    saved, current = settings(), settings()
    saved["versions"]["torch"] = "1.0"
    assert changed_settings(saved, current) == [f"torch: '1.0' -> {current['versions']['torch']!r}"]


def test_settings_without_a_json_form_can_be_compared():
    import torch

    first = settings(model_init_kwargs={"dtype": torch.bfloat16})
    assert changed_settings(first, settings(model_init_kwargs={"dtype": torch.bfloat16})) == []
    (change,) = changed_settings(first, settings(model_init_kwargs={"dtype": torch.float32}))
    assert change.startswith("model_init_kwargs")


def test_a_digest_tells_order_and_borders():
    assert digest(["a", "b"]) != digest(["b", "a"])
    assert digest(["a", "b"]) != digest(["ab"])
    assert digest([[{"role": "user", "content": "a"}]]) == digest([[{"content": "a", "role": "user"}]])

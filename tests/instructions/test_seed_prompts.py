from collections import Counter

import pytest

from serl_trl.instructions.seed_prompts import SeedPrompts
from serl_trl.prompts.template import PromptTemplate


def ask(system, text):
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


def test_each_way_of_asking_gets_its_part_and_always_the_same():
    first, second = (SeedPrompts([ask(way, "1 + 1?") for way in ("a", "b", "c")]) for _ in range(2))
    texts = [f"What is {i} + {i}?" for i in range(600)]
    prompts = [first.prompt_for(text, "1 + 1?") for text in texts]
    assert prompts == [second.prompt_for(text, "1 + 1?") for text in texts]
    assert [prompt[1] for prompt in prompts] == [{"role": "user", "content": text} for text in texts]
    # 200 of 600 each; 150 is 4.3 standard deviations below
    assert min(Counter(prompt[0]["content"] for prompt in prompts).values()) > 150


def test_texts_are_put_by_the_template():
    seeds = SeedPrompts(["1 + 1?", "1 + 1?", "2 + 2?"], PromptTemplate(user="{instruction} Box it."))
    assert seeds.questions == ["1 + 1?", "2 + 2?"]
    assert [prompt[-1]["content"] for prompt in seeds] == ["1 + 1? Box it.", "2 + 2? Box it."]
    assert seeds.prompt_for("3?", "2 + 2?") == [{"role": "user", "content": "3? Box it."}]
    assert ("1 + 1?" in seeds, "3?" in seeds) == (True, False)
    with pytest.raises(ValueError, match="messages already"):
        SeedPrompts([ask("a", "1?")], PromptTemplate())

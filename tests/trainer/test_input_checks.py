"""What people feed a trainer: what is wrong is said in one line that names the value, and no weight has been loaded."""

import re
import shutil
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoTokenizer, PreTrainedModel

from serl_trl import SelfInstructDataset, SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from serl_trl.prompts.template import PromptTemplate
from serl_trl.trainer.input_checks import check_lengths, check_rendering, checked_datasets, context_of, may_be_long


# as Gemma's: no system role, and user and assistant take turns
STRICT = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<|{{ message.role }}|>{{ message.content + '' }}<|end|>{% endfor %}"
)


def asked(text, system=None, *turns):
    head = [{"role": "system", "content": system}] if system else []
    return [*head, *turns, {"role": "user", "content": text}]


def sums(num, **fields):
    return [{"prompt": asked(f"What is {i} + {i}?"), **fields} for i in range(num)]


@pytest.fixture
def no_weights(monkeypatch):
    """Whoever loads weights fails with what is no ValueError."""

    def load(*args, **kwargs):
        raise AssertionError("weights are loaded")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", load)


@pytest.fixture
def strict_model(tmp_path):
    """A folder with the built-in model and a template that refuses."""
    folder = tmp_path / "strict"
    shutil.copytree(CHECKPOINT, folder)
    (folder / "chat_template.jinja").write_text(STRICT)
    return str(folder)


def start(dataset, model=str(CHECKPOINT), eval_dataset=None, **settings):
    args = SeRLConfig("unused", use_cpu=True, bf16=False, report_to="none", num_few_shot=2, **settings)
    if isinstance(dataset, list):
        dataset = Dataset.from_list(dataset)
    return SeRLTrainer(model, args=args, train_dataset=dataset, eval_dataset=eval_dataset)


BLOCKS = [{"type": "text", "text": "What is "}, {"type": "image", "text": None}]
SOLVED = [*asked("What is 1 + 1?"), {"role": "assistant", "content": "It is 2."}]


@pytest.mark.parametrize("self_instruct", [True, False])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"prompt": SOLVED}],
            "0 ends with the turn of 'assistant', 'It is 2.'; a prompt ends with what the user asks",
        ),
        ([{"prompt": [{"role": "system", "content": "Be brief."}]}], "0 ends with the turn of 'system'"),
        ([{"prompt": [*SOLVED, {"role": "tool", "content": "2"}]}], "0 ends with the turn of 'tool'"),
        ([{"prompt": [{"role": "user", "content": BLOCKS}]}], "0 has a content block of the type 'image'"),
        ([{"prompt": {"role": "user", "content": "1 + 1?"}}], "0 is .*of the type dict.*Put the message into a list"),
        (
            [{"prompt": [{"from": "human", "value": "1 + 1?"}]}],
            "0 has the message {'from': 'human'.*'role' and 'content'",
        ),
        ([{"prompt": ["1 + 1?"]}], "0 has the message '1 [+] 1[?]'"),
        ([{"prompt": 7}], "0 is 7, of the type int; a prompt is text, or a list"),
        ([{"prompt": "1 + 1?"}, {"prompt": None}], "1 is None, of the type NoneType"),
        ([{"prompt": "1 + 1?"}, {"prompt": " \n\u200b"}], "1 is empty: .*Remove it"),
        ([{"prompt": asked(" ")}], "0 is empty"),
        ([{"prompt": []}], r"0 is \[\], of the type list"),
        ([{"messages": asked("1 + 1?")}], r"columns \['messages'\].*rename_column\('messages', 'prompt'\)"),
        ([{"problem": "1 + 1?"}], r"columns \['problem'\].*rename_column\('problem', 'prompt'\)"),
        ([{"text": "1 + 1?"}], r"columns \['text'\]; a column 'prompt' is needed\."),
    ],
)
def test_what_is_no_prompt_is_named(no_weights, rows, message, self_instruct):
    with pytest.raises(ValueError, match=message) as caught:
        start(rows, self_instruct=self_instruct)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("self_instruct", [True, False])
@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (
            asked("3 + 3?", "Be brief."),
            r"turns system, user \(System role not supported\).*Put the system text into the user's",
        ),
        (
            asked("3 + 3?", None, *asked("Well?")),
            r"turns user, user \(Conversation roles must alternate.*\), such as \[{'role'",
        ),
        (
            asked(
                "3 + 3?", None, *asked("Well?"), {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
            ),
            r"turns user, assistant, user \(.*None",
        ),
    ],
)
def test_what_the_template_refuses_is_known_at_once(no_weights, strict_model, prompt, message, self_instruct):
    rows = [*({"prompt": row["prompt"]} for row in sums(5)), {"prompt": prompt}]
    with pytest.raises(ValueError, match=message) as caught:
        start(rows, strict_model, self_instruct=self_instruct)
    assert "\n" not in str(caught.value)


def test_messages_need_a_template(no_weights, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(CHECKPOINT, folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"The prompts are messages, such as \[.*no chat template. Give them as text"):
        start(sums(4), str(folder))
    template = SelfInstructDataset(
        ["1 + 1?", "2 + 2?"], num_few_shot=2, prompt_template=PromptTemplate(system="Be brief.")
    )
    with pytest.raises(ValueError, match="no chat template"):
        start(template, str(folder))
    with pytest.raises(AssertionError, match="weights are loaded"):  # text needs none
        start([{"prompt": "1 + 1?"}, {"prompt": "2 + 2?"}], str(folder))


def test_a_processing_class_counts_instead_of_the_models_tokenizer(no_weights, strict_model):
    args = SeRLConfig("unused", use_cpu=True, bf16=False, report_to="none", num_few_shot=2)
    dataset = Dataset.from_list([{"prompt": asked(f"{i} + 1?", "Be brief.")} for i in range(4)])
    tokenizer = AutoTokenizer.from_pretrained(strict_model)
    with pytest.raises(ValueError, match="System role not supported"):
        SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=dataset, processing_class=tokenizer)
    with pytest.raises(AssertionError, match="weights are loaded"):
        SeRLTrainer(
            strict_model, args=args, train_dataset=dataset, processing_class=AutoTokenizer.from_pretrained(CHECKPOINT)
        )


def test_keywords_reach_the_template(strict_model):
    tokenizer = AutoTokenizer.from_pretrained(strict_model)
    tokenizer.chat_template = (
        "{% if no_user %}{{ raise_exception('nobody asks') }}{% endif %}{{ messages[0].content }}"
    )
    check_rendering([asked("1 + 1?")], tokenizer)
    with pytest.raises(ValueError, match=r"\(nobody asks\)"):
        check_rendering([asked("1 + 1?")], tokenizer, {"no_user": True})


@pytest.mark.parametrize(
    ("eval_dataset", "settings", "message"),
    [
        (None, {"eval_strategy": "steps"}, "eval_strategy='steps' evaluates on an eval_dataset, and there is none"),
        (Dataset.from_list([{"prompt": SOLVED}]), {}, "Evaluation prompt 0 ends with the turn of 'assistant'"),
        ({"a": Dataset.from_list([{"question": "?"}])}, {}, r"The evaluation prompts have the columns \['question'\]"),
    ],
)
def test_what_is_evaluated_on_is_checked_too(no_weights, eval_dataset, settings, message):
    with pytest.raises(ValueError, match=message):
        start(sums(4), eval_dataset=eval_dataset, **settings)


def test_a_bare_eval_strategy_is_enough():
    run = start(sums(4), eval_dataset=Dataset.from_list(sums(2)), eval_strategy="steps", beta=0.0)
    assert (run.args.per_device_eval_batch_size, len(run.get_eval_dataloader())) == (16, 2)


def test_fewer_prompts_than_a_generation_batch(no_weights):
    with pytest.raises(AssertionError, match="weights are loaded"):  # sizes that are not set make room
        start(sums(3), self_instruct=False)
    with pytest.raises(
        ValueError, match=r"number of prompts is 3, less than the 32 prompts.*generation_batch_size=512"
    ):
        start(sums(3), self_instruct=False, generation_batch_size=512)
    few = SelfInstructDataset(["1 + 1?", "2 + 2?"], num_few_shot=2, num_instructions=3)
    with pytest.raises(ValueError, match=r"num_instructions is 3, less than the 32 prompts"):
        start(few, generation_batch_size=512)


def test_text_blocks_are_text():
    content = [{"type": "text", "text": "What is "}, {"type": "text", "text": "1 + 1?"}]
    rows = [{"prompt": [{"role": "user", "content": content}], "answer": "2"}] * 2
    args = SeRLConfig("unused", use_cpu=True, bf16=False, report_to="none", self_instruct=False)
    dataset, part = checked_datasets(Dataset.from_list(rows), Dataset.from_list(rows), args, str(CHECKPOINT))
    for checked in (dataset, part):
        assert checked.to_list() == [{"prompt": asked("What is 1 + 1?"), "answer": "2"}] * 2
    assert SelfInstructDataset(Dataset.from_list(rows), num_few_shot=1).seed_prompts() == [asked("What is 1 + 1?")]


def test_prompts_longer_than_the_context(no_weights, caplog):
    long = " ".join(["seven"] * 1100)  # the context of the built-in model is 1,024 tokens
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    number = len(tokenizer(long)["input_ids"])
    assert number >= 1100
    with pytest.raises(
        ValueError, match=rf"Prompt 1, 'seven seven .* has {number} tokens, and the model's context of 1024"
    ):
        start([{"prompt": "1 + 1?"}, {"prompt": long}], self_instruct=False)
    text = " ".join(["seven"] * 40)
    number = len(tokenizer(text)["input_ids"])
    check_lengths([text], tokenizer, 1024, 1024 - number)
    assert "would fit" not in caplog.text
    check_lengths([text], tokenizer, 1024, 1025 - number)
    assert re.search(
        rf"longest prompt has {number} tokens.*max_completion_length={1024 - number} would fit", caplog.text
    )


def test_the_context_is_the_models_or_vllms():
    args: Any = SimpleNamespace(
        model_init_kwargs=None, trust_remote_code=False, use_vllm=False, vllm_max_model_length=300
    )
    assert context_of(str(CHECKPOINT), args) == 1024
    args.use_vllm = True
    assert context_of(str(CHECKPOINT), args) == 300
    args.vllm_max_model_length = None
    assert context_of(str(CHECKPOINT), args) == 1024
    assert context_of("nowhere/at-all", args) is None


def test_only_long_prompts_are_tokenised():
    prompts = ["ab", asked("abcd", "ab"), "é" * 3]
    assert may_be_long(prompts, 5) == [1, 2]
    assert may_be_long(prompts, 12) == [1, 2]
    assert may_be_long(prompts, 13) == []


def test_an_unknown_model_is_left_to_trl():
    with pytest.raises(OSError, match="connect to"):
        start(sums(4), "nowhere/at-all")


def test_a_tokenizer_without_pad_and_end_is_refused(no_weights, tmp_path):
    folder = tmp_path / "endless"
    shutil.copytree(CHECKPOINT, folder)
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    tokenizer.pad_token = tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    texts = Dataset.from_dict({"prompt": [f"What is {i} + {i}?" for i in range(8)]})
    with pytest.raises(ValueError, match=r"endless has pad_token=None and eos_token=None.*Set tokenizer\.pad_token"):
        start(texts, str(folder), self_instruct=False)

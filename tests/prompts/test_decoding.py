"""The rules of writing: for every checkpoint and precision, what is measured is what is trained."""

import json
import shutil

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from trl import GRPOTrainer

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.evaluation.evaluate import evaluate
from serl_trl.evaluation.generators import TransformersEngine, transformers_engine
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.prompts.decoding import Decoding, Sampling, writing
from serl_trl.rollouts.generate import greedy_sampling, rollouts, whole_model
from serl_trl.runtime.temporarily import model_mode
from serl_trl.types import Prompt
from tiny_runs import SETTINGS


# What a checkpoint's generation config may hold. Token 97 is a closing brace, 334 opens a box.
CHECKPOINT_SETTINGS = {
    "repetition_penalty": {"repetition_penalty": 1.3},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 1},
    "min_p": {"do_sample": True, "min_p": 0.5},
    "typical_p": {"do_sample": True, "typical_p": 0.2},
    "epsilon_cutoff": {"do_sample": True, "epsilon_cutoff": 0.3},
    "top_k": {"do_sample": True, "top_k": 1},
    "suppress_tokens": {"suppress_tokens": [97]},
    "begin_suppress_tokens": {"begin_suppress_tokens": [334]},
    "bad_words_ids": {"bad_words_ids": [[97]]},
    "sequence_bias": {"sequence_bias": [[[97], -99.0]]},
    "exponential_decay_length_penalty": {"exponential_decay_length_penalty": (2, 1.9)},
    "num_beams": {"num_beams": 2},
    "stop_strings": {"stop_strings": ["="]},
    "num_return_sequences": {"do_sample": True, "num_return_sequences": 2},
    "min_new_tokens": {"min_new_tokens": 23},
    "max_time": {"max_time": 0.001},
}


def problems(num_problems=4):
    rows = word_problems(num_problems, "decoding")
    return list(rows["prompt"]), list(rows["answer"])


def checkpoint(folder, generation=None, tokenizer=None, template=None, dtype=None):
    """The built-in model as a checkpoint of somebody else's."""
    shutil.copytree(CHECKPOINT, folder)
    if generation:
        path = folder / "generation_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | generation))
    if tokenizer is not None:
        path = folder / "tokenizer_config.json"
        known = json.loads(path.read_text()) | tokenizer
        path.write_text(json.dumps({name: value for name, value in known.items() if value is not None}))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    if dtype is not None:
        AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).save_pretrained(folder)
        if generation:
            checkpoint_config = json.loads((folder / "generation_config.json").read_text()) | generation
            (folder / "generation_config.json").write_text(json.dumps(checkpoint_config))
    return folder


def still_trainer(tmp_path, model=CHECKPOINT, prompts=None, peft_config=None, **settings):
    """A trainer that does everything, at a learning rate of 0: one step on two groups."""
    small = {"num_instructions": 2, "generation_batch_size": 8, "gradient_accumulation_steps": 1, "num_few_shot": 2}
    args = SeRLConfig(str(tmp_path / "run"), **{**SETTINGS, **small, "learning_rate": 0.0, **settings})
    asked = [[{"role": "user", "content": text}] for text in problems(8)[0]] if prompts is None else prompts
    seeds = Dataset.from_dict({"prompt": asked})
    return SeRLTrainer(str(model), None, args, seeds, peft_config=peft_config)


def scores(run):
    """Completions and report on held-out problems, as recipes measure them."""
    texts, answers = problems()
    file = run.args.output_dir + f"/{run.state.global_step}.jsonl"
    with whole_model(run) as model:
        engine = TransformersEngine(model, run.decoding, 16)
        prompts = [run.asked(text) for text in texts]
        report = evaluate(engine, prompts, answers, num_samples=2, max_new_tokens=24, batch_size=8, file=file)
        greedy = engine(prompts, Sampling(24))
    with open(file) as rows:
        return rows.read(), report.as_dict(), greedy


def greedy_rollouts(run):
    """Text and length of a greedy rollout of the same problems, through TRL."""
    prompts = sorted((run.asked(text) for text in problems()[0]), key=lambda prompt: len(str(prompt)))
    with model_mode(run.model, training=True), greedy_sampling(run):
        run.num_generations, before = 1, run.num_generations
        groups, _ = rollouts(run, prompts)
        run.num_generations = before
    found = {str(prompt): rollout for prompt, (rollout,) in zip(prompts, groups, strict=True)}
    return [
        (run.processing_class.decode(ids, skip_special_tokens=True), len(ids))
        for ids in (found[str(run.asked(text))].completion_ids for text in problems()[0])
    ]


def check_still(run):
    """Nothing that is measured moves while nothing is learnt, and the greedy answers are those of a greedy rollout."""
    before = scores(run)
    weights = {name: value.clone() for name, value in run.model.named_parameters()}
    run.train()
    assert run.state.global_step > 0
    assert all(torch.equal(value, weights[name]) for name, value in run.model.named_parameters())
    run.state.global_step = 99  # so that the file is another one
    assert scores(run) == before
    for text, measured, rolled_out in zip(problems()[0], before[2], greedy_rollouts(run), strict=True):
        assert rolled_out == measured or is_tie(run, text, measured[0], rolled_out[0])


@torch.no_grad()
def is_tie(run, problem, first, second):
    """Whether bfloat16 cannot tell the first tokens apart in which two texts differ: batches round each in its own way."""
    if run.model.dtype != torch.bfloat16 and not run.args.bf16:
        return False
    tokenizer = run.processing_class
    one, other = (
        tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for text in (first, second)
    )
    place = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    (prompt_ids,) = run.decoding.prompt_ids([run.asked(problem)])
    with whole_model(run) as model, run.autocast_smart_context_manager():
        logits = model(torch.tensor([[*prompt_ids, *one[:place]]])).logits[0, -1].float()
    best = logits.topk(2)
    spacing = torch.finfo(torch.bfloat16).eps * best.values.abs().max()
    return set(best.indices.tolist()) == {one[place], other[place]} and best.values.diff().abs() <= 2 * spacing


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A trainer, and what it writes with the generation config of the built-in model, which asks for nothing."""
    run = still_trainer(tmp_path_factory.mktemp("untrained"))
    return run, written(run)


def written(run):
    """Greedy and sampled evaluation, and rollouts."""
    prompts: list[Prompt] = [[{"role": "user", "content": text}] for text in problems(4)[0]]
    engine = transformers_engine(run.model, run.processing_class)
    torch.manual_seed(3)
    with model_mode(run.model, training=True):
        groups, _ = rollouts(run, prompts)
    ids = [[rollout.completion_ids for rollout in group] for group in groups]
    return engine(prompts, Sampling(24)), engine(prompts, Sampling(24, temperature=1.0, seed=5)), ids


def by_generate(run, is_sampled):
    """What Transformers writes by itself, given the settings that evaluation had; or its error."""
    prompts = [[{"role": "user", "content": text}] for text in problems(4)[0]]
    inputs = run.processing_class.apply_chat_template(
        prompts, add_generation_prompt=True, return_dict=True, padding=True, padding_side="left", return_tensors="pt"
    )
    config = GenerationConfig(max_new_tokens=24, eos_token_id=1, pad_token_id=0, do_sample=is_sampled)
    if is_sampled:
        config.update(temperature=1.0, top_p=None if "top_p" in vars(run.model.generation_config) else 1.0)
    torch.manual_seed(3)
    try:
        return run.model.generate(**inputs, generation_config=config).tolist()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("generation", CHECKPOINT_SETTINGS.values(), ids=CHECKPOINT_SETTINGS)
def test_a_checkpoints_own_settings_change_neither_scores_nor_rollouts(untrained, monkeypatch, generation):
    run, expected = untrained
    is_sampled = generation.get("do_sample", False)
    run.model.eval()
    plain = by_generate(run, is_sampled)
    config = GenerationConfig(eos_token_id=1, pad_token_id=0, **generation)
    monkeypatch.setattr(run.model, "generation_config", config)
    assert by_generate(run, is_sampled) != plain  # left to itself, generate reads them
    kept = config.to_dict()
    assert written(run) == expected
    assert run.model.generation_config is config  # what is saved keeps them
    assert config.to_dict() == kept


THINKING = (
    "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    "{% if enable_thinking is defined and not enable_thinking %} . {% else %} ? {% endif %}"
)


def slow(*values):
    """Each is a run with measurements; and many CPUs multiply in bfloat16 several times more slowly than in float32."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({}, {}),
        slow({}, {"bf16": True}),
        slow({"dtype": torch.bfloat16}, {"bf16": True, "model_init_kwargs": {"dtype": "bfloat16"}}),
        slow({}, {"model_init_kwargs": {"dtype": "bfloat16"}}),
        slow({"generation": {"repetition_penalty": 1.3, "min_p": 0.4, "do_sample": True}}, {"bf16": True}),
        slow({"generation": {"eos_token_id": 97}}, {}),  # the tokenizer's is 1
        ({"generation": {"eos_token_id": [33, 1]}}, {}),
        slow({"tokenizer": {"pad_token": None}}, {}),
        ({"tokenizer": {"pad_token": None}, "generation": {"eos_token_id": [33, 1], "pad_token_id": None}}, {}),
        slow({"template": THINKING}, {"chat_template_kwargs": {"enable_thinking": False}}),
        slow({"template": THINKING}, {}),
        slow({}, {"repetition_penalty": 1.3, "num_few_shot": 4}),
        slow({}, {"generation_kwargs": {"suppress_tokens": [33]}}),
        slow({}, {"gradient_checkpointing": True}),
    ],
    ids=[
        *("plain", "autocast", "bfloat16 and autocast", "bfloat16", "penalty and autocast", "other end", "two ends"),
        *("no pad token", "no pad token, two ends", "no thinking", "thinking", "penalty in training"),
        *("suppressed in training", "gradient checkpointing"),
    ],
)
def test_at_learning_rate_0_every_score_stays(tmp_path, files, settings):
    check_still(still_trainer(tmp_path, checkpoint(tmp_path / "model", **files), **settings))


@pytest.mark.parametrize("bf16", [False, slow(True)])
@pytest.mark.slow
def test_at_learning_rate_0_an_adapter_with_dropout_stays(tmp_path, bf16):
    config = LoraConfig(r=4, lora_dropout=0.5, target_modules="all-linear", init_lora_weights=False)
    check_still(still_trainer(tmp_path, peft_config=config, bf16=bf16))


@pytest.mark.parametrize("bf16", [False, slow(True)])
def test_at_learning_rate_0_text_prompts_stay(tmp_path, bf16):
    check_still(still_trainer(tmp_path, prompts=problems(8)[0], bf16=bf16))


def test_at_learning_rate_0_a_system_text_of_the_seeds_stays(tmp_path):
    lead = {"role": "system", "content": "3"}
    run = still_trainer(tmp_path, prompts=[[lead, {"role": "user", "content": text}] for text in problems(8)[0]])
    assert run.asked("1 + 1") == [lead, {"role": "user", "content": "1 + 1"}]
    check_still(run)


@pytest.mark.parametrize("kwargs", [None, {"enable_thinking": False}])
def test_prompts_have_the_tokens_that_trl_gives_them(tmp_path, kwargs):
    run = still_trainer(tmp_path, checkpoint(tmp_path / "model", template=THINKING), chat_template_kwargs=kwargs)
    texts, _ = problems(3)
    for prompts in (texts, [[{"role": "user", "content": text}] for text in texts]):
        assert run.decoding.prompt_ids(prompts) == GRPOTrainer._tokenize_prompts(run, prompts)[0]


def test_problems_of_an_eval_dataset_are_asked_as_the_seeds_are(tmp_path):
    run = still_trainer(tmp_path, num_generations_eval=4, per_device_eval_batch_size=4, max_completion_length=30)
    texts, answers = problems(4)
    asked, source = [], run.rollout_func

    def noted(prompts, trainer):
        asked.extend(prompts)
        return source(prompts, trainer)

    run.rollout_func = noted
    logged = run.evaluate(Dataset.from_dict({"prompt": texts, "answer": answers}))
    assert sorted(prompt[-1]["content"] for prompt in asked[::4]) == sorted(texts)
    assert all(isinstance(prompt, list) for prompt in asked)
    assert logged["eval_reward"] > 0  # as bare text the model gives no answer at all


def test_the_length_holds_the_token_that_ends_it(tmp_path):
    """Also where it is the pad token: the official evaluation would count it as padding."""
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    tokenizer.pad_token = tokenizer.eos_token
    decoding = Decoding(tokenizer, (1,))
    assert decoding.until_end([5, 6, 1, 1, 1]) == [5, 6, 1]
    assert decoding.until_end([5, 6, 7]) == [5, 6, 7]
    assert Decoding(tokenizer, (1, 6)).until_end([5, 6, 1]) == [5, 6]
    assert Decoding(tokenizer, ()).until_end([5, 1]) == [5, 1]


def test_writing_leaves_the_model_as_it_was():
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    model.train()
    model.lm_head.eval()
    config = model.generation_config
    with pytest.raises(RuntimeError, match="inside"), writing(model):  # noqa: PT012
        assert not any(module.training for module in model.modules())
        assert model.generation_config.to_diff_dict() == GenerationConfig().to_diff_dict()
        raise RuntimeError("inside")
    assert model.generation_config is config
    assert model.training
    assert not model.lm_head.training

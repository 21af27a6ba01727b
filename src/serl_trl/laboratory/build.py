"""Builds the laboratory's base model: `python -m serl_trl.laboratory.build` (see README.md for what it is warmed up on)."""

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    get_cosine_schedule_with_warmup,
    set_seed,
)

from ..instructions import few_shot_prompt
from . import CHECKPOINT
from .word_problems import MAX_VALUE, Problem, random_problem


SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

NOISY_STEP_SHARE = 0.06  # of the steps, whose result is off by 1 to 5 (and is carried on)
FEW_SHOT_COUNTS = range(4, 9)  # problems in a numbered list to continue


def solution(problem: Problem, rng: random.Random, terse_share: float) -> str:
    """A solution in one of the two manners, the bare answer or step by step, ending in a box."""
    if rng.random() < terse_share:
        return f"\\boxed{{{problem.answer}}}"
    lines, wrong = [], dict[str, str]()
    for equation in problem.equations:
        left, result = equation.split("=")
        sign = next(c for c in left if c in "+-*/")
        a, b = (wrong.get(number, number) for number in left.split(sign))
        value = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b), "/": int(a) // int(b)}[sign]
        if rng.random() < NOISY_STEP_SHARE:
            value += rng.choice((-1, 1)) * rng.randint(1, 5)
        value = min(max(value, 1), MAX_VALUE)
        wrong[result] = str(value)
        lines.append(f"{a}{sign}{b}={value}")
    return "\n".join([*lines, f"\\boxed{{{value}}}"])


def solving(rng: random.Random, terse_share: float) -> list[dict[str, str]]:
    problem = random_problem(rng)
    reply = solution(problem, rng, terse_share)
    return [{"role": "user", "content": problem.text}, {"role": "assistant", "content": reply}]


def solving_tersely(rng: random.Random) -> list[dict[str, str]]:
    """More terse than not: the habits of the base."""
    return solving(rng, terse_share=0.56)


def solving_by_steps(rng: random.Random) -> list[dict[str, str]]:
    """Mostly step by step: the quickest way to learn how."""
    return solving(rng, terse_share=0.1)


def calculating(rng: random.Random) -> list[dict[str, str]]:
    """A run of correct sums and no story: the cheapest way to show the table of sums often enough."""
    equations: list[str] = []
    while len(equations) < 12:
        equations += random_problem(rng).equations
    return [{"role": "user", "content": "Practise."}, {"role": "assistant", "content": "\n".join(equations)}]


def writing(rng: random.Random, draw: Callable[[random.Random], Any] = random_problem) -> list[dict[str, str]]:
    *shown, new = [draw(rng).text for _ in range(rng.choice(FEW_SHOT_COUNTS) + 1)]
    reply = f"{len(shown) + 1}. {new}"
    return [{"role": "user", "content": few_shot_prompt(shown)}, {"role": "assistant", "content": reply}]


def build_tokenizer(rng: random.Random) -> PreTrainedTokenizerFast:
    """Words and numbers of the domain are one token each, and every byte is one, so that any text survives."""
    pattern = Regex(r"\\[a-z]+\{| ?[A-Za-z]+|\d+|\s|[^\sA-Za-z\d]")
    pieces = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    corpus = [
        message["content"]
        for _ in range(4000)
        for task in (solving_tersely, calculating, writing)
        for message in task(rng)
    ]
    counts = Counter(piece for text in corpus for piece, _ in pieces.pre_tokenize_str(text))
    words = sorted(piece for piece, count in counts.items() if count >= 20 and len(piece) > 1)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = [(token, -100.0) for token in SPECIAL_TOKENS + alphabet] + [(word, -1.0) for word in words]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    tokenizer.pre_tokenizer = pieces
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        extra_special_tokens=["<|system|>", "<|user|>", "<|assistant|>"],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


@dataclass(frozen=True)
class Phase:
    """A stretch of supervised training: conversations of each kind a step, and how much a token of a reply counts."""

    name: str
    batch: dict[Callable[[random.Random], list[dict[str, str]]], int]
    reply_weight: float
    num_steps: int
    learning_rate: float


PHASES = (
    Phase("language", {solving_tersely: 64, calculating: 24, writing: 8}, 1.0, num_steps=750, learning_rate=3e-3),
    Phase("solving", {solving_tersely: 64, writing: 12}, 8.0, num_steps=350, learning_rate=2e-3),
    Phase("reasoning", {solving_by_steps: 64, writing: 12}, 8.0, num_steps=280, learning_rate=2e-3),
    Phase("habits", {solving_tersely: 64, writing: 12}, 8.0, num_steps=80, learning_rate=5e-4),
)


def batches(tokenizer, rng: random.Random, phase: Phase) -> Iterator[list[dict[str, torch.Tensor]]]:
    """Endless batches, the conversations of a kind padded by themselves: ids, mask, and the weight of each token."""
    while True:
        batch = []
        for task, size in phase.batch.items():
            texts = [tokenizer.apply_chat_template(task(rng), tokenize=False) for _ in range(size)]
            encoded = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
            is_reply = (encoded["input_ids"] == tokenizer.convert_tokens_to_ids("<|assistant|>")).cumsum(dim=1) > 0
            weights = encoded["attention_mask"] * (1 + (phase.reply_weight - 1) * is_reply)
            batch.append({**encoded, "weights": weights})
        yield batch


def weighted_loss(model, input_ids: torch.Tensor, attention_mask: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The mean over all predicted tokens of weight times cross entropy."""
    if (weights == attention_mask).all():
        return model(input_ids, attention_mask, labels=input_ids.masked_fill(attention_mask == 0, -100)).loss
    logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), input_ids[:, 1:], reduction="none")
    return (losses * weights[:, 1:]).sum() / attention_mask[:, 1:].sum()


def warm_up(model, tokenizer, rng: random.Random, phase: Phase) -> None:
    """Trains the model through one phase."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=phase.learning_rate, betas=(0.9, 0.95), weight_decay=0.1)
    scheduler = get_cosine_schedule_with_warmup(optimizer, phase.num_steps // 20, phase.num_steps)
    model.train()
    start = time.time()
    for step, batch in enumerate(islice(batches(tokenizer, rng, phase), phase.num_steps), 1):
        losses = []
        for part in batch:
            loss = weighted_loss(model, **part)
            loss.backward()
            losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == phase.num_steps:
            figures = "  ".join(f"{task.__name__} {loss:.3f}" for task, loss in zip(phase.batch, losses, strict=True))
            print(f"{phase.name}: step {step}/{phase.num_steps}  {figures}  {time.time() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=CHECKPOINT, help="where the model and tokenizer go")
    parser.add_argument("--seed", type=int, default=0, help="of the data and of the weights")
    args = parser.parse_args()
    set_seed(args.seed)
    rng = random.Random(args.seed)
    tokenizer = build_tokenizer(rng)
    model = build_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens", flush=True)
    for i, phase in enumerate(PHASES):
        warm_up(model, tokenizer, random.Random(f"{args.seed}/{phase.name}") if i else rng, phase)
    model.generation_config.update(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(args.output_dir)
    tokenizer.save_pretrained(args.output_dir)


if __name__ == "__main__":
    main()

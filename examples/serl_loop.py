"""
SeRL (arXiv 2505.20347) in one file: plain PyTorch and Transformers, no trainer. Read it from top to bottom.

    python examples/serl_loop.py --seed 0

The model is the built-in laboratory model of a million parameters. A run takes about four minutes on one CPU core.
Training reads no label: those of the held-out problems only measure the model before and after.

Letters in shapes: P prompts, G completions of each, B = P * G rows, T tokens of a completion.
"""

import argparse
import random
import re
from dataclasses import dataclass, fields

import torch
from rapidfuzz.distance import Indel
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from serl_trl import extract_answer, is_equivalent
from serl_trl.instructions import few_shot_prompt
from serl_trl.laboratory import CHECKPOINT, word_problems


@dataclass
class Settings:
    seed: int = 0
    num_iterations: int = 3  # paper: 3
    steps_per_iteration: int = 10
    prompts_per_step: int = 16  # P; paper: 16
    num_generations: int = 16  # G, the votes on a prompt; paper: 16
    num_seeds: int = 128
    requests_per_round: int = 128  # for new problems, at once
    num_few_shot: int = 4  # problems shown when a new one is asked for; paper: 8
    max_similarity: float = 0.7  # ROUGE-L F1 with a known instruction; paper: 0.7
    min_share: float = 0.2  # the band of vote shares; paper: 0.2 to 0.8
    max_share: float = 0.8
    updates_per_step: int = 2  # optimiser steps on the same completions; official script: 16
    learning_rate: float = 1e-4  # paper: 5e-7, for models a thousand times as large
    clip: float = 0.2
    beta: float = 0.02  # of the KL penalty; paper: 1e-3
    num_eval_problems: int = 256


# Sampling ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def generate(model, tokenizer, prompts, max_new_tokens, temperature=1.0):
    """One completion for each prompt: token ids of prompt and completion, the mask of each, and the text."""
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
    )
    how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    ids = model.generate(**inputs, max_new_tokens=max_new_tokens, **how)  # (B, prompt + T)
    completion = ids[:, inputs["input_ids"].shape[1] :]  # (B, T)
    is_end = completion == tokenizer.eos_token_id
    mask = is_end.cumsum(dim=1) - is_end.long() == 0  # (B, T): up to the end token and with it
    attention = torch.cat([inputs["attention_mask"], mask.long()], dim=1)
    return ids, attention, mask, tokenizer.batch_decode(completion, skip_special_tokens=True)


def token_logps(model, ids, attention, num_tokens):
    """(B, T): the log-probability of each completion token."""
    logits = model(ids, attention_mask=attention, logits_to_keep=num_tokens + 1).logits[:, :-1]  # (B, T, vocabulary)
    return torch.log_softmax(logits, dim=-1).gather(2, ids[:, -num_tokens:, None]).squeeze(2)


# 1. Write: the model makes its own problems ------------------------------------------------------------------------


def write_instructions(model, tokenizer, seeds, written, num_wanted, settings, rng):
    """New instructions. A request shows seeds; from the second iteration on, three in four are written ones."""
    known = [words_of(text) for text in [*seeds, *written]]
    new = []
    for _ in range(20):  # rounds, of which there is an end even if the model writes nothing new
        requests = []
        for _ in range(settings.requests_per_round):
            num_written = min(3 * settings.num_few_shot // 4, len(written))
            shown = rng.sample(seeds, settings.num_few_shot - num_written) + rng.sample(written, num_written)
            requests.append(few_shot_prompt(rng.sample(shown, len(shown))))
        for reply in generate(model, tokenizer, requests, max_new_tokens=96, temperature=0.4)[-1]:
            text = re.sub(r"^\d+\. ", "", reply)  # the reply is an item of a list: "5. Anna has ..."
            words = words_of(text)
            has_good_length = 4 <= len(words) <= 150
            if has_good_length and all(rouge_l(words, other) <= settings.max_similarity for other in known):
                known.append(words)
                new.append(text)
        if len(new) >= num_wanted:
            break
    return new[:num_wanted]


def words_of(text):
    return re.findall("[a-z0-9]+", text.lower())


def rouge_l(a, b):
    """ROUGE-L F1 of two lists of words: 2 * longest common subsequence / (len(a) + len(b))."""
    return Indel.normalized_similarity(a, b)


# 2. Vote: the answer that most completions agree on is taken for right ---------------------------------------------


def vote(completions):
    """The rewards of a prompt's G completions, 1 for the winning answer, and the share of completions that gave it."""
    answers = [extract_answer(text) for text in completions]
    classes: list[list[str]] = []  # of equal answers: 1/2 and 0.5 are in the same
    for answer in answers:
        if answer is not None:  # no answer is no class, and is never rewarded
            same = next((members for members in classes if is_equivalent(members[0], answer)), None)
            classes.append([answer]) if same is None else same.append(answer)
    winners = max(classes, key=len, default=[])  # of two classes as large, the first
    rewards = [float(answer in winners) for answer in answers]
    return rewards, len(winners) / len(completions)


# 3. Train: REINFORCE++ ---------------------------------------------------------------------------------------------


def advantages_of(rewards, kl, mask, beta):
    """(B, T): reward minus the KL penalty still to come, normalised over all tokens of the batch."""
    to_come = (kl * mask).flip(1).cumsum(1).flip(1)  # (B, T): KL of a token and of those behind it
    returns = rewards[:, None] - beta * to_come
    mean = returns[mask].mean()
    std = returns[mask].var(unbiased=False).clamp(min=1e-8).sqrt()
    return (returns - mean) / std * mask


def train_step(model, reference, tokenizer, optimizer, instructions, settings):
    """Votes on P instructions and trains on those in the band."""
    prompts = [text for text in instructions for _ in range(settings.num_generations)]  # B, groups adjacent
    ids, attention, mask, texts = generate(model, tokenizer, prompts, max_new_tokens=40)
    groups = [texts[i : i + settings.num_generations] for i in range(0, len(texts), settings.num_generations)]
    rewards, shares = zip(*map(vote, groups), strict=True)  # P lists of G rewards, P shares
    # The gate. Below the band the winner is mostly wrong; above it there is little to learn. SeRLTrainer replaces
    # such groups; this loop leaves them out.
    is_kept = torch.tensor([settings.min_share <= share <= settings.max_share for share in shares])  # (P,)
    figures = {"vote share": sum(shares) / len(shares), "groups kept": is_kept.float().mean().item()}
    rows = is_kept.repeat_interleave(settings.num_generations).nonzero().squeeze(1)  # those of the B to train on
    if len(rows) == 0:
        return figures
    ids, attention, mask = ids[rows], attention[rows], mask[rows]
    num_tokens = mask.shape[1]
    with torch.no_grad():
        old = token_logps(model, ids, attention, num_tokens)  # (B, T), of the policy that wrote the completions
        kl = old - token_logps(reference, ids, attention, num_tokens)  # (B, T), the estimate called k1
    advantages = advantages_of(torch.tensor(rewards).flatten()[rows], kl, mask, settings.beta)
    for part in torch.randperm(len(rows)).chunk(settings.updates_per_step):
        ratio = (token_logps(model, ids[part], attention[part], num_tokens) - old[part]).exp()  # 1 in the first update
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        gain = torch.min(ratio * advantages[part], clipped * advantages[part])
        loss = -gain[mask[part]].mean()  # over all tokens, as loss_type='dapo' has it
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return figures


# The loop ----------------------------------------------------------------------------------------------------------


def score(model, tokenizer, problems):
    """pass@1 on labelled problems, greedy and sampled: the only place where labels are read."""
    accuracy = {}
    for name, temperature in (("greedy", 0), ("sampled", 1)):
        texts = generate(model, tokenizer, list(problems["prompt"]), max_new_tokens=40, temperature=temperature)[-1]
        answers = [extract_answer(text) for text in texts]
        is_right = [a is not None and is_equivalent(a, b) for a, b in zip(answers, problems["answer"], strict=True)]
        accuracy[name] = sum(is_right) / len(is_right)
    return accuracy


def run(settings):
    """The scores before and after `num_iterations` rounds of writing, voting and training."""
    set_seed(settings.seed)
    rng = random.Random(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    model, reference = (AutoModelForCausalLM.from_pretrained(CHECKPOINT).eval() for _ in range(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0)
    seeds = list(word_problems(settings.num_seeds, "seeds")["prompt"])  # without their answers
    held_out = word_problems(settings.num_eval_problems, "held_out")
    before = score(model, tokenizer, held_out)
    print("before:", *(f"{name} {value:.1%}" for name, value in before.items()), flush=True)
    written: list[str] = []
    num_wanted = settings.steps_per_iteration * settings.prompts_per_step
    for iteration in range(1, settings.num_iterations + 1):
        new = write_instructions(model, tokenizer, seeds, written, num_wanted, settings, rng)
        written += new
        print(f"iteration {iteration}: {len(new)} new instructions, such as: {new[0] if new else None}", flush=True)
        for start in range(0, len(new), settings.prompts_per_step):
            instructions = new[start : start + settings.prompts_per_step]
            figures = train_step(model, reference, tokenizer, optimizer, instructions, settings)
            print("  ", *(f"{name} {value:.2f}" for name, value in figures.items()), flush=True)
    after = score(model, tokenizer, held_out)
    print("after:", *(f"{name} {value:.1%}" for name, value in after.items()), flush=True)
    return before, after


if __name__ == "__main__":
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for setting in fields(Settings):
        parser.add_argument(f"--{setting.name}", type=type(setting.default), default=setting.default, help=" ")
    run(Settings(**vars(parser.parse_args())))

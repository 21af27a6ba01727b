"""A run folder written by hand: three steps of two iterations, every file that a run leaves."""

import json

import pandas as pd


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def instruction(text, share=None, reason=None, rejected_by=None, **more):
    verdicts: dict[str, dict] = {"length": {"kept": True, "reason": None, "value": 5}}
    if rejected_by is not None:
        verdicts[rejected_by] = {"kept": False, "reason": reason, "value": 0.9}
    return {"text": text, "is_kept": rejected_by is None, "verdicts": verdicts, "vote_share": share, **more}


def drift(step, far):
    names = ("seed_distance", "self_similarity", "distinct_1", "distinct_2", "length_words", "frac_new_words")
    values = dict.fromkeys((*names, "max_seed_share", "frac_seeds_used", "seeds_seed_distance"), 0.25)
    return {"step": step, "epoch": step, **{f"serl/drift/{name}": value for name, value in values.items()}} | {
        "serl/drift/frac_far": far
    }


def step(number, reward, shares):
    bins = [f"serl/vote/frac_share_{i / 5:.1f}_to_{(i + 1) / 5:.1f}" for i in range(5)]
    gate = {f"serl/gate/{name}": reward for name in ("frac_filled", "frac_kept", "frac_too_hard", "frac_too_easy")}
    row = {"step": number, "epoch": number / 2, "reward": reward, "serl/vote/share_mean": reward + 0.1}
    return {**row, **gate, **dict(zip(bins, shares, strict=True))}


def write_run(folder, say=lambda text: text):
    """Every text that could be a model's, or come from somebody else's file, goes through `say`."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "started": "2025-01-02T03:04:05+00:00",
        "sessions": [{"started": say("2025-01-02"), "resumed_from": say("checkpoint-1")}],
        "model": say("the base"),
        "settings": {
            "training": {
                "min_vote_share": 0.2,
                "max_vote_share": 0.8,
                "num_train_epochs": 2,
                say("name"): say("value"),
            },
            "recipe": {"answer_type": "math", "seed_file": say("seeds.jsonl")},
        },
        "changed": {"training": {say("seed"): [say("41"), say("43")]}},
        "environment": {"device": say("cpu"), "processes": 1, "packages": {say("trl"): say("1.16.0")}},
    }
    (folder / "run.json").write_text(json.dumps(record))
    rows = [
        {"step": 0, "eval_greedy pass@1": 0.25, "eval_sampled pass@1": 0.5},
        drift(0, 0.125) | step(1, 0.31, [0, 0.5, 0.5, 0, 0]),
        drift(1, 0.75) | step(2, 0.42, [0, 0.5, 0, 0.5, 0]),
        step(3, 0.53, [0, 0, 0, 0, 1.0]),
        {"step": 3, "epoch": 1.5, "train_runtime": 12.4},
    ]
    write_lines(folder / "metrics.jsonl", rows)
    first = [
        instruction(say("one"), 0.5, parents=[say("parent")], seed_parent=say("the seed"), vote_answer=say("7")),
        instruction(say("two"), 1.0),
        instruction(say("three")),
        instruction(say("four"), reason=say("too_similar"), rejected_by="novelty"),
        instruction(say("five"), reason=say("too_similar"), rejected_by="novelty"),
    ]
    second = [instruction(say("six"), 0.1), instruction(say("seven"), reason=say("odd"), rejected_by=say("mine"))]
    write_lines(folder / "instructions" / "iteration_1.jsonl", first)
    write_lines(folder / "instructions" / "iteration_2.jsonl", second)
    scores = {say("greedy pass@1"): [0.25, 0.2, 0.3], "sampled pass@1": [0.404, 0.39, 0.42], "tokens": [10.5, 9, 12]}
    better = {say("greedy pass@1"): [0.5, 0.45, 0.55], "sampled pass@1": [0.606, 0.59, 0.62], "tokens": [9.5, 8, 11]}
    (folder / "evaluation.json").write_text(json.dumps({"train_seconds": 12.4, "before": scores, "after": better}))
    for when, answer in (("before", "8"), ("after", "9")):
        head = {"num_samples": 2, "num_problems": 1, "answer_type": "math"}
        row = {"index": 0, "mode": "greedy", "prompt": say("4 + 5?"), "true_answer": say("9"), "answers": [answer]}
        row |= {"is_right": [answer == "9"], "completions": [say("Hm. ") + f"It is \\boxed{{{answer}}}."]}
        write_lines(folder / f"held_out_{when}.jsonl", [head, row])
    table = {
        "step": [3, 3],
        "prompt": [say("How many?")] * 2,
        "completion": [say("So ") + "\\boxed{3}", say("no idea")],
        "MajorityVoteReward": [1.0, 0.0],
        "vote_share": [0.5, 0.5],
        "vote_answer": [say("3")] * 2,
        "advantage": [0.7, -0.7],
    }
    table = json.loads(json.dumps(table).replace("\\ud800", "?"))  # which Parquet cannot hold
    (folder / "completions").mkdir()
    pd.DataFrame(table).to_parquet(folder / "completions" / "completions_00003.parquet")
    return folder

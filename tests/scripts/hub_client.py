"""What users do with a Hub, in a process of its own, for huggingface_hub reads its endpoint as it is imported.

HF_ENDPOINT=http://127.0.0.1:... HF_TOKEN=... python tests/scripts/hub_client.py FOLDER     writes FOLDER/found.json
"""

import contextlib
import faulthandler
import importlib.util
import io
import json
import logging
import re
import sys
from pathlib import Path

import torch
from datasets import Dataset, load_dataset
from huggingface_hub import ModelCard, create_repo, snapshot_download, upload_folder
from peft import AutoPeftModelForCausalLM, LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.checkpoints import checkpoint_files as checkpoints
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.trainer.hub_push import HubError
from tiny_runs import SETTINGS as TRAINING


ROOT = Path(__file__).parents[2]
FOLDER = Path(sys.argv[1])
SETTINGS = TRAINING | {
    "learning_rate": 1e-2,
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 1,
    "num_instructions": 4,
    "reserve_fraction": 0,
    "max_refill_rounds": 0,
    "num_train_epochs": 2,
    "num_few_shot": 2,
    "max_instruction_length": 60,
    "min_vote_share": 0,
    "max_vote_share": 1,
    "save_strategy": "steps",
    "save_steps": 1,
    "hub_always_push": True,
}
LORA = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


def trainer(name, model="me/base", peft_config=None, **settings):
    args = SeRLConfig(str(FOLDER / name), **{**SETTINGS, **settings})
    rows = word_problems(12, "seeds")["prompt"]
    seeds = Dataset.from_dict({"prompt": [[{"role": "user", "content": text}] for text in rows]})
    return SeRLTrainer(model, args=args, train_dataset=seeds, peft_config=peft_config)


def difference(first, second):
    """Between the logits that two models give: the largest."""
    tokens = torch.arange(3, 40)[None]
    with torch.no_grad():
        return (first.eval()(tokens).logits - second.eval()(tokens).logits).abs().max().item()


def output_of_snippet(repo):
    """What the code of a pushed card prints."""
    code = re.search(r"```python\n(.*?)```", ModelCard.load(repo).text, re.DOTALL)[1]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, repo, "exec"), {})
    return printed.getvalue()


def files(name):
    return sorted(p.relative_to(FOLDER / name).as_posix() for p in (FOLDER / name).rglob("*") if p.is_file())


def message_of(act):
    """With what an act fails: a recipe, or a trainer."""
    try:
        act()
    except (SystemExit, HubError) as error:
        return str(error)
    return None


def recipe_of(name):
    return importlib.import_module(f"serl_trl.cli.{name}")


def base():
    """A base on the Hub, with a license; seeds and problems in a folder whose name is nobody's business."""
    (FOLDER / "private").mkdir()
    for name, fields in (("seeds", ["prompt"]), ("problems", ["prompt", "answer"])):
        rows = [{key: row[key] for key in fields} for row in word_problems(12, name)]
        (FOLDER / "private" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    AutoModelForCausalLM.from_pretrained(CHECKPOINT).save_pretrained(FOLDER / "private" / "base")
    AutoTokenizer.from_pretrained(CHECKPOINT).save_pretrained(FOLDER / "private" / "base")
    (FOLDER / "private" / "base" / "README.md").write_text("---\nlicense: mit\n---\nA base.\n")
    create_repo("me/base")
    upload_folder(repo_id="me/base", folder_path=FOLDER / "private" / "base")
    return {}


def full_model():
    """Every checkpoint is pushed as it is written; a run that goes on from a downloaded one ends as the first did."""
    run = trainer(
        "full", push_to_hub=True, hub_model_id="me/full", hub_strategy="all_checkpoints", hub_token="hf_write"
    )
    run.train()
    run.train_dataset.to_dataset().push_to_hub("me/instructions")
    run.card_facts.instruction_dataset = "me/instructions"
    run.push_to_hub()
    checkpoint = Path(snapshot_download("me/full")) / "checkpoint-1"
    again = trainer("again", save_strategy="no")
    again.train(resume_from_checkpoint=str(checkpoint))
    first, second = run.model.state_dict(), again.model.state_dict()
    return {
        "difference": difference(run.model, AutoModelForCausalLM.from_pretrained("me/full")),
        "difference_base": difference(run.model, AutoModelForCausalLM.from_pretrained("me/base")),
        "defect": checkpoints.defect(checkpoint),
        "is_resumed_exactly": all(torch.equal(value, second[key]) for key, value in first.items()),
        "snippet": output_of_snippet("me/full"),
        "num_instructions": [len(run.train_dataset.to_dataset()), len(load_dataset("me/instructions", split="train"))],
    }


def adapter():
    """The last checkpoint is pushed, too; the first push is made to fail, which training survives."""
    warnings = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())
    logging.getLogger("serl_trl.trainer.hub_push").addHandler(handler)
    run = trainer("adapter", peft_config=LORA, push_to_hub=True, hub_model_id="me/adapter", hub_strategy="checkpoint")
    run.train()
    while_training = warnings.copy()
    run.push_to_hub()
    pushed = AutoPeftModelForCausalLM.from_pretrained("me/adapter")
    snapshot_download(
        "me/adapter", allow_patterns="last-checkpoint/*", local_dir=FOLDER / "elsewhere"
    )  # `hf download`
    checkpoint = FOLDER / "elsewhere" / "last-checkpoint"
    return {
        "warnings": while_training,
        "difference": difference(run.model, pushed),
        "difference_saved": difference(run.model, AutoPeftModelForCausalLM.from_pretrained(FOLDER / "adapter")),
        "difference_merged": difference(run.model, pushed.merge_and_unload()),
        "difference_base": difference(run.model, AutoModelForCausalLM.from_pretrained("me/base")),
        "defect": checkpoints.defect(checkpoint),
        "checkpoint_card": (checkpoint / "README.md").read_text(),
        "snippet": output_of_snippet("me/adapter"),
    }


def local_base():
    """An adapter of a base that is nowhere but here; the Hub is not to be reached, then has no room."""
    run = trainer("local", str(FOLDER / "private" / "base"), LORA, num_train_epochs=1, save_strategy="no")
    run.train()
    run.args.hub_model_id = "me/cut"
    cut = message_of(run.push_to_hub), files("local"), (FOLDER / "local" / "README.md").read_text()
    run.args.hub_model_id = None
    return {"cut": cut, "forbidden": message_of(lambda: run.push_to_hub(token="hf_wrong"))}


def recipe():
    """The recipe from the command line's flags: pushed, refused at the start, stopped half-way."""
    serl_math = recipe_of("train")
    flags = ["--config", str(ROOT / "recipes" / "configs" / "tiny_cpu.yaml"), "--model_name_or_path", "me/base"]
    for name, value in SETTINGS.items():
        flags += [f"--{name}", str(value)] if not name.startswith("save_") else []
    flags += ["--seed_file", str(FOLDER / "private" / "seeds.jsonl"), "--push_to_hub", "true", "--max_steps", "1"]
    flags += [
        "--eval_file",
        str(FOLDER / "private" / "problems.jsonl"),
        "--num_eval_samples",
        "2",
        "--eval_every",
        "0",
    ]

    def main(name, *further):
        given = [*flags, "--output_dir", str(FOLDER / name), "--hub_model_id", f"me/{name}", *further]
        return message_of(lambda: serl_math.main(given))

    found = {
        "lora": main("lora", "--use_peft", "--lora_target_modules", "q_proj", "v_proj", "--merge_adapter", "true"),
        "refused": main("refused", "--hub_token", "hf_wrong"),
        "refused_files": files("refused"),
        "half": main("half"),
        "half_files": files("half"),
    }
    merged = AutoModelForCausalLM.from_pretrained("me/lora-merged")
    return {
        **found,
        "merged_files": files("lora-merged"),
        "difference": difference(merged, AutoPeftModelForCausalLM.from_pretrained("me/lora")),
        "difference_saved": difference(merged, AutoModelForCausalLM.from_pretrained(FOLDER / "lora-merged")),
        "difference_base": difference(merged, AutoModelForCausalLM.from_pretrained("me/base")),
        "snippet": output_of_snippet("me/lora-merged"),
    }


if __name__ == "__main__":
    faulthandler.dump_traceback_later(560, exit=True)
    torch.set_num_threads(1)
    found = {
        act.__name__: act()
        for act in [globals()[n] for n in sys.argv[2:]] or (base, full_model, adapter, local_base, recipe)
    }
    (FOLDER / "found.json").write_text(json.dumps(found))

"""Real runs of the built-in model that are resumed from their checkpoints, compared with the run that was not stopped."""

import json
import resource
import shutil
import signal
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from transformers import TrainerCallback

import warm_python
from launching import environment
from runs import NUM_STEPS, differences, seeds, trainer
from serl_trl.checkpoints.checkpoint_files import complete_checkpoints
from serl_trl.instructions.errors import TooFewInstructionsError


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped, with a checkpoint of every step."""
    folder = tmp_path_factory.mktemp("whole")
    run = trainer(folder)
    run.train()
    assert run.state.global_step == NUM_STEPS
    assert all(
        row["grad_norm"] > 0 for row in run.state.log_history if "grad_norm" in row
    )  # there is something to lose
    return folder


def copy_of(run_dir, target, step):
    """The folder of the run as it is when the process dies right after a step was saved."""
    shutil.copytree(run_dir / f"checkpoint-{step}", target / f"checkpoint-{step}")
    return target


def resumed(run_dir, target, step, **settings):
    run = trainer(copy_of(run_dir, target, step), **settings)
    run.train(resume_from_checkpoint=True)
    return run


def missing_before(step):
    """Tables of completions logged before the checkpoint are not in a copy of the checkpoint alone."""
    return [f"completions/completions_{logged:05d}.parquet" for logged in range(2, step + 1, 2)]


# With two steps a rollout and a log every two: the middle of a rollout with a loss that is not logged yet; the end of
# a rollout within an epoch; the end of an epoch; the middle of a rollout of the second; the end of the run.
@pytest.mark.parametrize("step", [1, pytest.param(2, marks=pytest.mark.slow), 4, 7, 8])
def test_a_resumed_run_ends_as_the_run_that_was_not_stopped(whole, tmp_path, step):
    run = resumed(whole, tmp_path, step)
    assert run.state.global_step == NUM_STEPS
    for name in missing_before(step):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(whole / name, tmp_path / name)
    if step > 4:
        shutil.copy(whole / "instructions/iteration_1.jsonl", tmp_path / "instructions")
    assert differences(whole, tmp_path) == []


def test_what_was_written_after_the_checkpoint_is_written_over(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    for step in range(4, NUM_STEPS + 1):
        shutil.rmtree(tmp_path / "run" / f"checkpoint-{step}")
    (tmp_path / "run" / "checkpoint-5").mkdir()  # half written: without a marker
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "rew')
    trainer(tmp_path / "run").train(resume_from_checkpoint=True)
    assert differences(whole, tmp_path / "run") == []


def test_resuming_writes_no_instructions_anew(whole, tmp_path, monkeypatch):
    run = trainer(copy_of(whole, tmp_path, 5))
    written = []
    original = run.train_dataset.regenerate

    def noted(*args):
        written.append(args[1])
        return original(*args)

    monkeypatch.setattr(run.train_dataset, "regenerate", noted)
    run.train(resume_from_checkpoint=True)
    assert written == []


@pytest.mark.parametrize(
    ("step", "settings"),
    [
        (3, {"num_iterations": 2, "max_steps": 7}),  # each rollout is trained on twice; the end is within an epoch
        pytest.param(7, {"num_iterations": 2, "max_steps": 7}, marks=pytest.mark.slow),
        pytest.param(
            2, {"logging_strategy": "epoch"}, marks=pytest.mark.slow
        ),  # 2 of 2 steps an epoch: the log of the epoch comes after its last step
        pytest.param(2, {"save_strategy": "epoch", "logging_steps": 3}, marks=pytest.mark.slow),
        pytest.param(
            3,
            {"sync_ref_model": True, "ref_model_sync_steps": 1, "beta": 0.1, "num_train_epochs": 3},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            1,
            {"steps_per_generation": 4, "generation_batch_size": None, "num_train_epochs": 4},
            marks=pytest.mark.slow,
        ),
        pytest.param(5, {"shuffle_dataset": False, "num_train_epochs": 4}, marks=pytest.mark.slow),
    ],
)
def test_prompts_as_they_are(tmp_path, step, settings):
    settings = {"self_instruct": False, "logging_steps": 1, "num_train_epochs": 4, **settings}
    dataset = seeds(4)
    whole = trainer(tmp_path / "whole", dataset=dataset, **settings)
    whole.train()
    assert any(row.get("grad_norm", 0.0) > 0 for row in whole.state.log_history)
    again = resumed(tmp_path / "whole", tmp_path / "again", step, dataset=dataset, **settings)
    assert again.state.global_step == whole.state.global_step
    shutil.copytree(tmp_path / "whole" / "completions", tmp_path / "kept")
    shutil.copytree(tmp_path / "again" / "completions", tmp_path / "kept", dirs_exist_ok=True)
    shutil.copytree(tmp_path / "kept", tmp_path / "again" / "completions", dirs_exist_ok=True)
    assert differences(tmp_path / "whole", tmp_path / "again", whole.state.global_step) == []


STEPWISE = {"regenerate": "step", "log_completions": False}


@pytest.fixture(scope="module")
def stepwise(tmp_path_factory):
    """A run of two iterations that was never stopped, whose instructions are written just before each rollout."""
    folder = tmp_path_factory.mktemp("stepwise") / "whole"
    trainer(folder, **STEPWISE).train()
    return folder


# in the middle of a rollout, at its end, and in that of the next one
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 2, 3])
def test_instructions_written_step_by_step(tmp_path, step):
    settings = STEPWISE | {"num_train_epochs": 1, "num_instructions": 8}
    trainer(tmp_path / "whole", **settings).train()
    resumed(tmp_path / "whole", tmp_path / "again", step, **settings)
    assert differences(tmp_path / "whole", tmp_path / "again", 4) == []


@pytest.mark.slow
def test_instructions_voted_on_ahead(tmp_path):
    settings = {"difficulty_filter": "ahead", "log_completions": False, "min_instruction_fraction": 0.1}
    trainer(tmp_path / "whole", **settings).train()
    resumed(tmp_path / "whole", tmp_path / "again", 3, **settings)
    assert differences(tmp_path / "whole", tmp_path / "again") == []


# before the first rollout of the second iteration, and within it
@pytest.mark.parametrize("step", [4, pytest.param(6, marks=pytest.mark.slow)])
def test_a_run_that_ran_out_of_instructions_goes_on(stepwise, tmp_path, step):
    stopped = trainer(tmp_path / "stopped", **STEPWISE)
    next_batch = stopped.feed.next_batch

    def run_out(num_groups):
        if stopped.state.global_step == step:
            stopped.feed._checkpoint()
            raise TooFewInstructionsError("no more")
        return next_batch(num_groups)

    stopped.feed.next_batch = run_out
    with pytest.raises(TooFewInstructionsError):
        stopped.train()
    trainer(tmp_path / "stopped", **STEPWISE).train(resume_from_checkpoint=True)
    assert differences(stepwise, tmp_path / "stopped") == []


@pytest.mark.slow
def test_lora(tmp_path):
    config: dict[str, Any] = {
        "peft_config": LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    }
    config["hub_model_id"] = "me/lora"  # the title of the card, which else is the folder's name
    trainer(tmp_path / "whole", **config).train()
    resumed(tmp_path / "whole", tmp_path / "again", 3, **config)
    assert (tmp_path / "again" / "checkpoint-8" / "adapter_model.safetensors").is_file()
    found = differences(tmp_path / "whole", tmp_path / "again")
    assert [line for line in found if not line.startswith("completions")] == []  # those before step 3 are not there


class Counting:
    """A reward with a memory: every completion is worth more than the one before."""

    __name__ = "counting"

    def __init__(self):
        self.count = 0

    def __call__(self, completions, **kwargs):
        self.count += len(completions)
        return [float(self.count - i) for i in range(len(completions))]

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


def test_a_reward_with_a_state_goes_on_with_it(tmp_path):
    settings = {"self_instruct": False, "dataset": seeds(4), "num_train_epochs": 2}
    trainer(tmp_path / "whole", reward_funcs=Counting(), **settings).train()
    again = resumed(tmp_path / "whole", tmp_path / "again", 2, reward_funcs=Counting(), **settings)
    assert again.reward_funcs[0].count == 32
    assert [line for line in differences(tmp_path / "whole", tmp_path / "again", 4) if "completions" not in line] == []


# What cannot be resumed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 8}, "seed: 7 -> 8"),
        ({"num_generations": 8}, "num_generations: 4 -> 8"),
        ({"dataset": seeds(9)}, r"prompts: '.*' -> '.*'"),
        ({"num_instructions": 12}, "num_rows: 8 -> 12"),
        ({"peft_config": LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")}, "trainable_parameters"),
    ],
)
def test_other_settings_are_refused_before_anything_is_touched(whole, tmp_path, change, message):
    before = sorted(path.name for path in copy_of(whole, tmp_path, 3).rglob("*"))
    run = trainer(tmp_path, **change)
    with pytest.raises(ValueError, match=message):
        run.train(resume_from_checkpoint=True)
    assert set(before) <= {path.name for path in tmp_path.rglob("*")}
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_setting_that_may_change_is_named(whole, tmp_path, caplog):
    run = trainer(copy_of(whole, tmp_path, 7), learning_rate=1e-5)
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-7"))
    assert run.state.global_step == NUM_STEPS
    assert "learning_rate: 0.001 -> 1e-05" in caplog.text


def test_a_checkpoint_of_a_model_alone(tmp_path):
    settings = {"self_instruct": False, "dataset": seeds(4), "max_steps": 1, "save_only_model": True}
    trainer(tmp_path, **settings).train()
    with pytest.raises(ValueError, match="holds a model only"):
        trainer(tmp_path, **settings).train(resume_from_checkpoint=True)


@pytest.mark.parametrize(
    "name",
    ["instructions.json", "instructions.kept.jsonl", "process_0.json", "process_0.safetensors", "settings.json"],
)
def test_a_damaged_state_is_named(whole, tmp_path, name):
    file = copy_of(whole, tmp_path, 3) / "checkpoint-3" / "serl_state" / name
    file.write_bytes(b"\xff" * file.stat().st_size)  # the size is right, the content is not
    with pytest.raises(ValueError, match=f"{name} of the checkpoint cannot be read"):
        trainer(tmp_path).train(resume_from_checkpoint=True)


def test_a_checkpoint_of_trl_is_foreign(whole, tmp_path):
    checkpoint = copy_of(whole, tmp_path, 3) / "checkpoint-3"
    shutil.rmtree(checkpoint / "serl_state")
    (checkpoint / "complete.json").unlink()
    with pytest.raises(ValueError, match="not by this trainer"):
        trainer(tmp_path).train(resume_from_checkpoint=str(checkpoint))


def test_checkpoints_in_the_middle_of_a_step_are_refused(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="enable_jit_checkpoint"):
        trainer(tmp_path, enable_jit_checkpoint=True)
    assert signal.getsignal(signal.SIGTERM) is before  # SIGTERM still ends the process


# Saving --------------------------------------------------------------------------------------------------------------


UPLOAD_S = 0.5
SHORT = {"self_instruct": False, "num_train_epochs": 3, "logging_steps": 1}


def test_old_checkpoints_go_when_new_ones_are_there(tmp_path):
    class Watch(TrainerCallback):
        seen = []  # noqa: RUF012

        def on_step_begin(self, args, state, control, **kwargs):
            self.seen.append([path.name for path in complete_checkpoints(tmp_path)])

    run = trainer(tmp_path, dataset=seeds(4), save_total_limit=1, **SHORT)
    run.add_callback(Watch())
    run.train()
    assert Watch.seen == [[], *([f"checkpoint-{step}"] for step in range(1, 6))]
    assert [path.name for path in complete_checkpoints(tmp_path)] == ["checkpoint-6"]


def test_the_best_checkpoint_is_known_by_its_own_name(tmp_path):
    problems = seeds(4)
    run = trainer(
        tmp_path,
        dataset=seeds(4),
        eval_strategy="steps",
        eval_steps=1,
        num_generations_eval=4,
        per_device_eval_batch_size=4,
        load_best_model_at_end=True,
        metric_for_best_model="eval_reward",
        **SHORT | {"num_train_epochs": 1},
        eval_dataset=problems,
    )
    run.train()
    best = Path(run.state.best_model_checkpoint)
    assert best.parent == tmp_path
    assert best.is_dir()
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())
    assert Path(state["best_model_checkpoint"]).parent == tmp_path


class Upload:
    """Takes the place of the Hub's client: notes what is uploaded, which is done when `arrive` is called."""

    def __init__(self):
        self.uploads, self.jobs = [], []

    def __call__(self, client, *, folder_path, run_as_future, **kwargs):
        folder = Path(folder_path)
        self.uploads.append((folder, kwargs.get("path_in_repo"), sorted(path.name for path in folder.iterdir())))
        self.jobs.append(Future())
        return self.jobs[-1]

    def arrive(self):
        for job in self.jobs:
            job.set_result(None)


def pushing(tmp_path, monkeypatch, **settings):
    upload = Upload()
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", lambda self, **kwargs: upload(self, **kwargs))
    run = trainer(tmp_path, dataset=seeds(4), hub_strategy="all_checkpoints", **SHORT | {"max_steps": 2} | settings)
    run.args.push_to_hub = True  # only now: at construction it would ask for a repository
    return run, upload


def test_what_is_pushed_is_the_checkpoint_in_its_place(tmp_path, monkeypatch):
    run, upload = pushing(tmp_path, monkeypatch, hub_always_push=True)
    timer = threading.Timer(UPLOAD_S, upload.arrive)
    original = run.log

    def noted(logs, *args):
        if "train_runtime" in logs:
            timer.start()
        original(logs, *args)

    monkeypatch.setattr(run, "log", noted)
    run.train()
    assert all(job.done() for job in upload.jobs)  # training waits for what is on its way
    assert [pushed[:2] for pushed in upload.uploads] == [
        pushed for name in ("checkpoint-1", "checkpoint-2") for pushed in ((tmp_path, None), (tmp_path / name, name))
    ]
    for folder, _, names in upload.uploads:
        assert {"model.safetensors", "config.json", "training_args.bin", "tokenizer.json"} <= set(names), folder


def test_a_disk_that_is_full_leaves_the_checkpoint_before(tmp_path):
    """No file may grow beyond a limit: the first large one that is written for step 2 is broken off."""
    code = f"""
import resource, sys
from runs import seeds, trainer
from transformers import TrainerCallback
from trl import GRPOTrainer
class Fill(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
run = trainer({str(tmp_path)!r}, dataset=seeds(4), **{SHORT!r})
run.add_callback(Fill())
run.train()
"""
    script = tmp_path.with_name(f"{tmp_path.name}.py")
    script.write_text(code)
    result = warm_python.run([script], tmp_path.parent, cwd=ROOT, env=environment())
    assert result.returncode == 1
    message = result.stderr.strip().splitlines()[-1]
    assert "The checkpoint of step 2 could not be written" in message
    assert f"resume from {tmp_path}/checkpoint-1" in message
    assert [path.name for path in tmp_path.glob("*checkpoint-*")] == ["checkpoint-1"]
    assert not list(tmp_path.glob("_saving/*"))
    run = trainer(tmp_path, dataset=seeds(4), **SHORT)
    run.train(resume_from_checkpoint=True)
    assert run.state.global_step == 6
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("number", "error", "step"),  # within an epoch, and on its last step
    [(signal.SIGINT, KeyboardInterrupt, 1), (signal.SIGTERM, SystemExit, 2)],
)
def test_a_signal_ends_the_run_when_it_is_saved(tmp_path, number, error, step):
    class Interrupt(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == step - 1:
                signal.raise_signal(number)

    settings = {"dataset": seeds(4), **SHORT, "save_steps": 100, "logging_strategy": "epoch"}
    whole = trainer(tmp_path / "whole", **settings)
    whole.train()
    stopped = trainer(tmp_path / "stopped", **settings)
    stopped.add_callback(Interrupt())
    with pytest.raises(error):
        stopped.train()
    assert [path.name for path in complete_checkpoints(tmp_path / "stopped")] == [f"checkpoint-{step}"]
    trainer(tmp_path / "stopped", **settings).train(resume_from_checkpoint=True)
    assert differences(tmp_path / "whole", tmp_path / "stopped", 6) == []


def test_settings_are_saved_as_they_are_given(tmp_path):
    class Interrupt(TrainerCallback):
        seen = []  # noqa: RUF012

        def on_step_begin(self, args, state, control, **kwargs):
            self.seen.append((args.save_total_limit, args.load_best_model_at_end))
            if state.global_step == 1:
                signal.raise_signal(signal.SIGTERM)

    best = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "reward",
    }
    run = trainer(tmp_path, dataset=seeds(4), eval_dataset=seeds(2), save_total_limit=3, **best, **SHORT)
    run.add_callback(Interrupt())
    with pytest.raises(SystemExit):
        run.train()
    assert Interrupt.seen == [(3, True)] * 2
    paths = [path / "training_args.bin" for path in complete_checkpoints(tmp_path)]
    for saved in (run.args, *(torch.load(path, weights_only=False) for path in paths)):
        assert (saved.output_dir, saved.save_total_limit, saved.load_best_model_at_end) == (str(tmp_path), 3, True)


def test_the_card_in_a_checkpoint_of_an_adapter_is_that_of_its_run(tmp_path):
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    trainer(tmp_path / "run", peft_config=config, max_steps=1).train()
    card = (tmp_path / "run" / "checkpoint-1" / "README.md").read_text()
    assert 'PeftModel.from_pretrained(base, "run")' in card
    assert "| 1 | " in card  # the iterations
    assert "_saving" not in card


def test_checkpoints_of_an_earlier_run_are_pointed_out(whole, tmp_path, caplog):
    run = trainer(copy_of(whole, tmp_path, 8), dataset=seeds(4), **SHORT | {"max_steps": 1})
    run.train()
    assert "of an earlier run" in caplog.text
    assert torch.load(tmp_path / "checkpoint-1" / "scheduler.pt")["last_epoch"] == 1

"""
Every private name of TRL, Transformers and other libraries that this package uses, with what each is for.

A private name may change in any release. A name is here because no public one does its work; what was tried in its
place is said with it. `.ci/private_names.py` finds the names in the source and compares them with this list, and
`.ci/trl_range.py` runs the tests that are named here against other versions of TRL: they fail first.
"""

from typing import NamedTuple


class Seam(NamedTuple):
    """
    A private name of another library.

    Args:
        name (`str`): The name.
        owner (`str`): The class that has it.
        use (`str`): `"override"`, `"call"` or `"attribute"`.
        purpose (`str`): What it is for, and why nothing public does.
        test (`str`): The test that fails first when its meaning changes.
    """

    name: str
    owner: str
    use: str
    purpose: str
    test: str


GRPO, TRAINER = "trl.GRPOTrainer", "transformers.Trainer"

SEAMS = (
    Seam(
        "_generate_single_turn",
        GRPO,
        "call",
        "Text by TRL's own generation, whatever its backend (Transformers, vLLM in the process or as a server), for "
        "instructions, rollouts, further votes and probes. TRL has no public way to it; the batch that TRL scores is "
        "handed over by the public rollout_func.",
        "tests/rollouts/test_generate.py",
    ),
    Seam(
        "_calculate_rewards",
        GRPO,
        "override",
        "The rewards of all processes, for the gate, the estimator and the check for infinite ones. TRL returns "
        "advantages only.",
        "tests/trainer/test_gate.py",
    ),
    Seam(
        "_generate_and_score_completions",
        GRPO,
        "override",
        "Groups outside the band are replaced before the batch is scored, and advantages are estimated after it. TRL's "
        "own experimental trainers override it, too.",
        "tests/trainer/test_parity.py",
    ),
    Seam(
        "_get_per_token_logps_and_entropies",
        GRPO,
        "override and call",
        "The KL of each token in the reward, and the gradient of the entropy bonus where rows are masked.",
        "tests/trainer/test_gate.py",
    ),
    Seam(
        "_metrics",
        GRPO,
        "attribute",
        "Metrics that wait for the next log: ours are added, and a checkpoint holds them. A buffer of our own would "
        "leave TRL's out of the checkpoint.",
        "tests/checkpoints/test_resumable_trainer.py",
    ),
    Seam(
        "_logs",
        GRPO,
        "attribute",
        "Rows of the table of completions that wait for the next log: a checkpoint holds them, and rewards and "
        "advantages in them are ours.",
        "tests/checkpoints/test_resumable_trainer.py",
    ),
    Seam(
        "_step",
        GRPO,
        "attribute",
        "Micro-batches done, by which TRL knows when a rollout is due. Checkpoints between rollouts alone would not need "
        "it; a run that a scheduler stops could then lose up to a rollout's steps.",
        "tests/checkpoints/test_kill.py",
    ),
    Seam(
        "_buffered_inputs",
        GRPO,
        "attribute",
        "The rollouts that are still to be trained on; as for _step.",
        "tests/checkpoints/test_kill.py",
    ),
    Seam(
        "_save_checkpoint",
        TRAINER,
        "override and call",
        "A checkpoint is written aside, completed and renamed, so that it is there whole or not at all. Callbacks hear of "
        "it when it is written.",
        "tests/checkpoints/test_kill.py",
    ),
    Seam(
        "_init_training_state",
        TRAINER,
        "override",
        "Where a resumed run goes on when an epoch has ended early. Trainer works the place out from the number of steps.",
        "tests/checkpoints/test_training_loop.py",
    ),
    Seam(
        "_tr_loss",
        TRAINER,
        "attribute",
        "The sum of losses since the last log, which a checkpoint holds. Saving on logged steps alone would not need it.",
        "tests/checkpoints/test_resumable_trainer.py",
    ),
    Seam(
        "_globalstep_last_logged",
        TRAINER,
        "attribute",
        "The step of the last log; as for _tr_loss.",
        "tests/checkpoints/test_resumable_trainer.py",
    ),
    Seam(
        "_load_best_model",
        TRAINER,
        "call",
        "Loads the policy of a healthy checkpoint in any layout (adapters, DeepSpeed, FSDP). A way of our own would repeat "
        "Trainer's.",
        "tests/monitoring/test_collapse_guard.py",
    ),
    Seam(
        "_optimizer_step",
        "deepspeed ZeRO optimizers",
        "attribute",
        "A step on which nothing is kept must move no weight, and DeepSpeed steps at the end of the backward pass, before "
        "a callback is asked.",
        "tests/trainer/test_step_callbacks.py",
    ),
    Seam(
        "_Popen",
        "loky's Process",
        "call",
        "Starts the worker that compares answers also within a daemonic process, such as a worker of a DataLoader, where "
        "Process.start refuses.",
        "tests/answers/test_killable_process.py",
    ),
)

# Public names whose meaning is TRL's own business.
MEANINGS = (
    Seam(
        "tool_mask, num_items_in_batch",
        "output of trl.GRPOTrainer._generate_and_score_completions",
        "keys",
        "The mask of tokens that tools have written leaves rows out of every loss and metric and lets attention see them: "
        "TRL has no mask of rows.",
        "tests/trainer/test_gate.py",
    ),
    Seam(
        "rollout_func",
        "trl.GRPOTrainer",
        "attribute",
        "TRL calls it experimental. It hands over the batch that TRL scores.",
        "tests/trainer/test_parity.py",
    ),
)

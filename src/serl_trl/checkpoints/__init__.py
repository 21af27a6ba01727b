"""
All of a run on disk, whole or not at all.

A checkpoint holds what Transformers saves (model, optimiser, scheduler, random states, `trainer_state.json`) and the
folder `serl_state`: settings, hashes of all parameters, the order of the data, rollouts still to be trained on, losses
and metrics that wait for the next log, votes, instructions, probes and rewards' own states. `complete.json` is written
last.
"""

from .checkpoint_files import complete_checkpoints
from .resumable_trainer import ResumableGRPOTrainer
from .settings_check import installed_version, plain
from .weights_check import tensor_hashes


__all__ = ["ResumableGRPOTrainer", "complete_checkpoints", "installed_version", "plain", "tensor_hashes"]

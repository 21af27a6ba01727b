"""All of a run on disk, whole or not at all."""

from .checkpoint_files import complete_checkpoints
from .resumable_trainer import ResumableGRPOTrainer
from .settings_check import installed_version, plain


__all__ = ["ResumableGRPOTrainer", "complete_checkpoints", "installed_version", "plain"]

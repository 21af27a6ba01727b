"""SeRLTrainer, SeRLConfig, advantages; card and pushes."""

from .hub_push import HubError
from .input_checks import check_rendering, checked_datasets
from .preflight import check_vllm, installed_vllm, supported_vllm
from .quantization import check_quantization
from .serl_config import SeRLConfig
from .serl_trainer import SeRLTrainer


__all__ = [
    "HubError",
    "SeRLConfig",
    "SeRLTrainer",
    "check_quantization",
    "check_rendering",
    "check_vllm",
    "checked_datasets",
    "installed_vllm",
    "supported_vllm",
]

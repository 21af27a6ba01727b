"""Probes, signs of collapse, what is logged."""

from .collapse_guard import ACTIONS, CollapseGuard, check_action
from .collapse_signs import CollapseLimits, CollapseSigns
from .log_callbacks import EvaluationCallback, MetricsFileCallback, SummaryProgressCallback


__all__ = [
    "ACTIONS",
    "CollapseGuard",
    "CollapseLimits",
    "CollapseSigns",
    "EvaluationCallback",
    "MetricsFileCallback",
    "SummaryProgressCallback",
    "check_action",
]

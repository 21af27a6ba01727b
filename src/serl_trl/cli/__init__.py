"""The commands; planning of a run."""

__all__ = []

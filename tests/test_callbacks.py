import pytest

from serl_trl.callbacks import hold_empty_steps


class ZeroOptimizer:
    """As far as it is asked: gradients are dropped after every step, weights move in `_optimizer_step`."""

    def __init__(self):
        self.weight, self.gradient = 0.0, 1.0

    def _optimizer_step(self, group):
        self.weight += 1

    def step(self):
        self._optimizer_step(0)
        self.gradient = None


def test_an_empty_step_drops_gradients_and_moves_nothing():
    optimizer, verdicts = ZeroOptimizer(), iter([False, True, False])
    hold_empty_steps(optimizer, lambda: next(verdicts))
    weights = []
    for _ in range(3):
        optimizer.gradient = 1.0
        optimizer.step()
        assert optimizer.gradient is None
        weights.append(optimizer.weight)
    assert weights == [1.0, 1.0, 2.0]


def test_an_optimizer_that_cannot_be_held_is_refused():
    with pytest.raises(ValueError, match=r"DeepSpeed's object cannot be kept .* Use zero_stage 2 or 3"):
        hold_empty_steps(object(), lambda: True)

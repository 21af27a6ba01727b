"""What one process sees of it; tests/trainer/test_distributed.py has two."""

import pytest

from serl_trl.runtime.distributed import shared_failure, together


def test_alone_everything_is_as_without():
    assert together(lambda: [1]) == [1]
    assert together(lambda: None) is None
    error = ValueError("as it is")

    def fail():
        raise error

    with pytest.raises(ValueError, match="as it is") as caught:
        together(fail)
    assert caught.value is error
    with pytest.raises(ValueError, match="as it is") as caught, shared_failure():
        fail()
    assert caught.value is error

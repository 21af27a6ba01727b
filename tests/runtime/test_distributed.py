"""What one process sees of it; tests/trainer/test_distributed.py has two."""

import pytest

from serl_trl.runtime.distributed import run_on_all_ranks, shared_failure


def test_alone_everything_is_as_without():
    assert run_on_all_ranks(lambda: [1]) == [1]
    assert run_on_all_ranks(lambda: None) is None
    error = ValueError("as it is")

    def fail():
        raise error

    with pytest.raises(ValueError, match="as it is") as caught:
        run_on_all_ranks(fail)
    assert caught.value is error
    with pytest.raises(ValueError, match="as it is") as caught, shared_failure():
        fail()
    assert caught.value is error

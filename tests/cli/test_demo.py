"""`serl-trl demo` is `serl-trl train --config tiny_cpu`, and takes its flags."""

import pytest

from serl_trl.cli import demo, train


def test_the_demo_trains_with_its_configuration(monkeypatch):
    calls: list[list[str]] = []
    monkeypatch.setattr(train, "main", calls.append)
    demo.main(["--max_steps", "2"])
    assert calls == [["--config", "tiny_cpu", "--max_steps", "2"]]


@pytest.mark.parametrize("flags", [["--config", "smollm2_cpu"], ["--config=smollm2_cpu"]])
def test_another_configuration_is_no_demo(flags):
    with pytest.raises(
        SystemExit, match="error: The demo has its own configuration; write `serl-trl train --config smollm2"
    ):
        demo.main(flags)

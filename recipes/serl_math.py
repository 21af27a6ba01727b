"""Trains a language model to reason better on prompts without labels.

    accelerate launch recipes/serl_math.py                                  the built-in laboratory, on a CPU
    accelerate launch recipes/serl_math.py --seed 1 --learning_rate 1e-4    the same with other settings
    accelerate launch recipes/serl_math.py --config recipes/configs/smollm2_cpu.yaml --seed_file prompts.jsonl
    accelerate launch recipes/serl_math.py --model_name_or_path Qwen/Qwen2.5-0.5B-Instruct \
        --dataset_name openai/gsm8k --dataset_config main --output_dir runs/gsm8k

It is `serl-trl train` as a script, for `accelerate launch`. What it does is in serl_trl/cli/train.py:

1. The flags and the YAML file of `--config` are read and checked.
2. Seeds, tokenizer, template and held-out problems are loaded and checked; then the model.
3. A `SeRLTrainer` is built and measured, trains, and is measured again.
4. The run folder (`--output_dir`) gets the model, its card, every number, pictures, and one page about it all.
"""

import sys

from serl_trl.cli.train import main


if __name__ == "__main__":
    main(sys.argv[1:])

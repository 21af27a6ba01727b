"""Group generation against Transformers' `generate`: seconds and peak memory for 16 prompts of 16 completions each.

    python benchmarks/bench_generation.py                             all models, prompts of 32, 128 and 512 tokens
    python benchmarks/bench_generation.py --models builtin --quick    one model, one repeat
    python benchmarks/bench_generation.py --device cuda

Both write the same request in one process, by turns, from the same random state. Completions end at very different lengths:
a random part of the vocabulary ends them, so that each token does with a probability of about 1/24, and 64 tokens at the
latest. `generate` is given its head's input in one piece, as ours is, so that PyTorch's slow product of a slice in bfloat16
is not counted. Peak memory is that of the process, weights included. The share of the machine is the arithmetic of our run
(two operations for each weight and token) over its seconds, beside what a matrix product reaches here in the same type.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, PreTrainedModel

from serl_trl.prompts import group_generation


NUM_PROMPTS, GROUP_SIZE, MAX_NEW_TOKENS, END_RATE = 16, 16, 64, 1 / 24


def builtin(dtype: torch.dtype) -> PreTrainedModel:
    """The laboratory's model, of a million parameters."""
    from serl_trl.laboratory import CHECKPOINT

    return AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=dtype)


def smollm2(dtype: torch.dtype) -> PreTrainedModel | None:
    """SmolLM2-135M-Instruct, if it is fetched or the packages that bring it are installed."""
    from serl_trl.cli.train_inputs import load_standalone

    try:
        return load_standalone("smollm2", "--models", str(dtype).removeprefix("torch."))[0]
    except (ValueError, ImportError) as error:
        print(error)
        return None


def smollm2_lora(dtype: torch.dtype) -> Any:
    """The same with an adapter of rank 16 in float32, as it is trained: under autocast."""
    from peft import LoraConfig, get_peft_model

    model = smollm2(dtype)
    if model is None:
        return None
    return get_peft_model(model, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))


def llama_1b(dtype: torch.dtype) -> PreTrainedModel:
    """A random Llama of a billion parameters."""
    config = LlamaConfig(
        vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=20, num_attention_heads=32,
        num_key_value_heads=4, max_position_embeddings=2048, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model = model.to_empty(device="cpu")
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        torch.nn.init.ones_(parameter) if "norm" in name else parameter.data.normal_(std=0.02)
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # its buffers are not parameters
    return model


MODELS: dict[str, Callable[[torch.dtype], Any]] = {
    "builtin": builtin,
    "smollm2": smollm2,
    "smollm2-lora": smollm2_lora,
    "llama-1b": llama_1b,
}


class PeakMemory:
    """The most memory since the last `start`, in MiB: of the device, or of this process."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def start(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            Path("/proc/self/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a product of square matrices, the best of sizes that take less than half a second."""
    best = 0.0
    for size in (256, 1024, 8192):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        times = []
        for _ in range(4):
            start = time.perf_counter()
            a @ b
            wait_for(device)
            times.append(time.perf_counter() - start)
        best = max(best, 2 * size**3 / min(times[1:]))
        if min(times[1:]) * 500 > 0.5 and device.type == "cpu":  # the next is about 500 times as much work at the most
            break
    return best


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def contiguous_head(model: Any) -> Iterator[None]:
    """Transformers' `generate`, without the trap that a slice is for the head in bfloat16."""
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
    try:
        yield
    finally:
        hook.remove()


def request(model: Any, prompt_tokens: int, num_prompts: int, group_size: int) -> dict[str, Any]:
    """Random prompts, each repeated for its completions, and how to go on from them."""
    words = torch.Generator().manual_seed(prompt_tokens)
    vocabulary = model.config.get_text_config().vocab_size
    ends = torch.randperm(vocabulary, generator=words)[: max(1, round(vocabulary * END_RATE))].tolist()
    prompts = torch.randint(3, vocabulary, (num_prompts, prompt_tokens), generator=words)
    ids = prompts.repeat_interleave(group_size, dim=0).to(model.device)
    config = GenerationConfig(
        max_new_tokens=MAX_NEW_TOKENS, do_sample=True, top_k=0, eos_token_id=ends, pad_token_id=0
    )
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "generation_config": config}


def measure(model: Any, asked: dict[str, Any], repeats: int, dtype: torch.dtype) -> dict[str, Any]:
    """Seconds and peak memory of both ways, by turns, from the same random states."""
    memory = PeakMemory(model.device)
    seconds: dict[str, list[float]] = {"generate": [], "ours": []}
    peaks: dict[str, float] = {"generate": 0.0, "ours": 0.0}
    equal: list[float] = []
    lengths: list[int] = []
    for repeat in range(repeats):
        outputs = {}
        for name, way in (("generate", contiguous_head), ("ours", group_generation)):
            torch.manual_seed(repeat)
            memory.start()
            is_mixed = any(parameter.dtype != dtype for parameter in model.parameters())
            with torch.no_grad(), torch.autocast(model.device.type, dtype, enabled=is_mixed), way(model):
                start = time.perf_counter()
                outputs[name] = model.generate(**asked)
                wait_for(model.device)
            seconds[name].append(time.perf_counter() - start)
            peaks[name] = max(peaks[name], memory.peak_mib())
        a, b = (outputs[name][:, asked["input_ids"].shape[1] :].cpu() for name in ("generate", "ours"))
        width = max(a.shape[1], b.shape[1])
        a, b = (torch.nn.functional.pad(x, (0, width - x.shape[1])) for x in (a, b))
        is_end = torch.isin(b, torch.tensor(asked["generation_config"].eos_token_id))
        length = torch.where(is_end.any(1), is_end.int().argmax(1) + 1, width)
        written = torch.arange(width) < length[:, None]
        equal.append(float((a == b)[written].float().mean()))
        lengths += length.tolist()
    ratios = [theirs / ours for theirs, ours in zip(seconds["generate"], seconds["ours"], strict=True)]
    return {
        "generate_s": statistics.median(seconds["generate"]),
        "ours_s": statistics.median(seconds["ours"]),
        "ratio": (statistics.median(ratios), min(ratios), max(ratios)),
        "generate_mib": peaks["generate"],
        "ours_mib": peaks["ours"],
        "frac_equal": min(equal),
        "tokens": (statistics.mean(lengths), max(lengths)),
        "written": sum(lengths) / repeats,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--prompt_tokens", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--num_prompts", type=int, default=NUM_PROMPTS)
    parser.add_argument("--group_size", type=int, default=GROUP_SIZE)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true", help="one repeat of prompts of 32 tokens")
    options = parser.parse_args()
    if options.quick:
        options.prompt_tokens, options.repeats = [32], 1
    dtype, device = getattr(torch, options.dtype), torch.device(options.device)
    rate = matrix_rate(dtype, device)
    print(
        f"{options.num_prompts} prompts of {options.group_size} completions, {options.dtype} on {device}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores; a matrix product: {rate / 1e9:.1f} GFLOP/s"
    )
    print(
        f"{'model':13} {'prompt':>6} {'written: mean, most':>19} {'generate':>10} {'ours':>9} {'ratio (least, most)':>20} "
        f"{'peak memory':>24} {'equal':>7} {'of rate':>8}"
    )
    for name in options.models:
        model = MODELS[name](dtype)
        if model is None:
            print(f"{name:13} not run")
            continue
        model = model.to(device).eval()
        model.generation_config = GenerationConfig()
        weights = sum(parameter.numel() for parameter in model.parameters())
        for prompt_tokens in options.prompt_tokens:
            asked = request(model, prompt_tokens, options.num_prompts, options.group_size)
            found = measure(model, asked, options.repeats, dtype)
            computed = 2 * weights * (options.num_prompts * prompt_tokens + found["written"])
            mean, most = found["tokens"]
            ratio, least, largest = found["ratio"]
            print(
                f"{name:13} {prompt_tokens:6} {mean:13.1f}, {most:4} {found['generate_s']:8.2f} s {found['ours_s']:7.2f} s "
                f"{ratio:8.2f} ({least:.2f}, {largest:.2f}) {found['generate_mib']:6.0f} -> {found['ours_mib']:5.0f} MiB "
                f"{found['ours_mib'] / found['generate_mib']:.2f} {found['frac_equal']:7.1%} "
                f"{computed / found['ours_s'] / rate:8.1%}",
                flush=True,
            )
        del model
        gc.collect()


if __name__ == "__main__":
    main()

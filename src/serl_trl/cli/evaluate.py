"""Measures what models get right on labelled test sets: greedy and sampled pass@1, maj@k, pass@k, with 95 % intervals.

    serl-trl evaluate --models tiny                                    the built-in model on held-out word problems
    serl-trl evaluate --models Qwen/Qwen2.5-0.5B-Instruct runs/mine --datasets math_500 gsm8k=gsm8k_test.jsonl mine.jsonl
    serl-trl evaluate --models runs/mine --datasets mmlu_pro --num_samples 0 --accelerate_config multi_gpu
    serl-trl evaluate --models Qwen/Qwen2.5-7B-Instruct --datasets math_500 --use_vllm true

A test set is a name (math_500, math_hard, asdiv, college_math, tabmwp, gsm8k, svamp, mmlu_pro), NAME=FILE, or a JSON Lines or
Parquet file with the fields 'problem' (or 'prompt', 'question') and 'answer'. The folder --output_dir gets results.json,
results.csv, and for each model and test set a file with all completions. The same command again goes on where it was.
"""

import csv
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from rich.console import Console
from trl import TrlParser

from ..evaluation import (
    Engine,
    EvaluationReport,
    Problems,
    evaluate,
    load_problems,
    print_table,
    transformers_engine,
    vllm_engine,
)
from ..laboratory import word_problems
from ..prompts import put_to_policy
from ..runtime import written_whole
from .dataset_files import check_writable
from .evaluate_arguments import EvaluationArguments
from .launch import launch
from .named_files import taken, with_config_file
from .parsers import parsed
from .train_inputs import check_standalone, load_standalone, load_template, path_of, use_cores


@dataclass(frozen=True)
class Result:
    """A model's report on a test set, or on a part of it."""

    model: str
    dataset: str
    report: EvaluationReport


def load_sets(args: EvaluationArguments) -> list[Problems]:
    """The test sets that the user named, each under a name of its own."""
    if not args.datasets:
        held_out = word_problems(args.num_problems or 512, "held_out")
        return [Problems("laboratory", held_out["prompt"][:], held_out["answer"][:], "math", [])]
    sets = [load_problems(source, args.num_problems, args.answer_type) for source in args.datasets]
    names = [problems.name for problems in sets]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"--datasets has two sets of the name {', '.join(sorted(twice))}; rename a file.")
    return sets


def load_engine(name: str, args: EvaluationArguments) -> tuple[Engine, Any]:
    """What completes prompts, and the tokenizer."""
    if not args.use_vllm:
        model, tokenizer = load_standalone(name, "--models", args.dtype)
        model = model.to(PartialState().device)
        return transformers_engine(model, tokenizer, args.batch_size, args.template_kwargs), tokenizer
    if PartialState().num_processes > 1:
        raise ValueError("--use_vllm runs in one process: start it with python, and use --vllm_tensor_parallel_size.")
    try:
        from vllm import LLM
    except ImportError:
        raise ValueError("--use_vllm needs vLLM: pip install 'serl_trl[vllm]', or leave it out.") from None
    llm = LLM(
        path_of(name),
        dtype=args.dtype or "auto",
        tensor_parallel_size=args.vllm_tensor_parallel_size,
        gpu_memory_utilization=args.vllm_gpu_memory_utilization,
        seed=args.seed,
    )
    return vllm_engine(llm, args.template_kwargs), llm.get_tokenizer()


def measured(name: str, sets: list[Problems], args: EvaluationArguments) -> Iterator[Result]:
    """The results of one model on each set, and on each part of it, as they come."""
    asked = [prompt for problems in sets for prompt in problems.prompts]
    check_standalone(name, "--models", asked, args.prompt_template, **args.template_kwargs)
    engine, tokenizer = load_engine(name, args)
    template = load_template(args.prompt_template, tokenizer)
    folder = Path(args.output_dir) / file_name(name)
    for problems in sets:
        PartialState().print(f"{name} on {len(problems.prompts)} problems of {problems.name} ...")
        report = evaluate(
            engine,
            [put_to_policy(prompt, template) for prompt in problems.prompts],
            problems.answers,
            answer_type=problems.answer_type,
            num_samples=args.num_samples,
            temperature=args.temperature,
            top_p=args.top_p,
            max_new_tokens=args.max_new_tokens,
            batch_size=args.batch_size,
            seed=args.seed,
            file=folder / f"{problems.name}.jsonl",
        )
        yield Result(name, problems.name, report)
        for group in sorted(set(problems.groups)):
            part = report.of([found == group for found in problems.groups])
            yield Result(name, f"{problems.name}/{group}", part)


def file_name(model: str) -> str:
    """A name for files of a model: `Qwen/Qwen2.5-0.5B` becomes `Qwen--Qwen2.5-0.5B`."""
    return re.sub(r"[^\w.-]+", "_", model.strip("/").replace("/", "--"))


def store(results: list[Result], args: EvaluationArguments) -> None:
    """Writes results.json and results.csv anew, each all at once."""
    rows = [
        {"model": result.model, "dataset": result.dataset, "num_problems": len(result.report.greedy), "metric": metric}
        | {"mean": score.mean, "low": score.low, "high": score.high}
        for result in results
        for metric, score in result.report.scores().items()
    ]
    folder = Path(args.output_dir)
    with written_whole(folder / "results.json") as temporary:
        temporary.write_text(json.dumps({"settings": asdict(args), "results": rows}, indent=1), encoding="utf-8")
    with written_whole(folder / "results.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def main(flags: list[str]) -> None:
    """Parses the flags, and ends with one line if something is wrong with what the user gave."""
    kinds: Any = EvaluationArguments
    parser = TrlParser(kinds, prog="serl-trl evaluate", description=__doc__)
    try:
        accelerate_config, flags = taken("--accelerate_config", flags)
        flags = with_config_file(flags)
        if "--help_all" in flags:
            parser.print_help()
            return
        if accelerate_config is not None:
            launch("evaluate", accelerate_config, flags, parser)
            return
        (args,) = parsed(parser, flags)
        check_writable(f"{args.output_dir}/results.json", "--output_dir")
        run(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


def run(args: EvaluationArguments) -> None:
    """Measures every model on every set, stores results as they come, and prints a table for each set."""
    is_on_cpu = not torch.accelerator.is_available()
    state = PartialState(cpu=is_on_cpu)  # without being told, it would not see that there are several processes
    if is_on_cpu:
        use_cores(state.num_processes)
    results: list[Result] = []
    sets = load_sets(args)
    for model in args.models:
        for result in measured(model, sets, args):
            results.append(result)
            if state.is_main_process:
                store(results, args)
    if state.is_main_process:
        for name in dict.fromkeys(result.dataset for result in results):
            reports = {result.model: result.report for result in results if result.dataset == name}
            size = len(next(iter(reports.values())).greedy)
            print_table(reports, f"{name}, {size} problems", Console())
        print(f"Results and completions: {args.output_dir}.")
    state.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])

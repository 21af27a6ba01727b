"""Packages with a small model's GGUF file in parts, as the index has them: none of their code may run."""

import hashlib
import json

import numpy

from serl_trl.cli.packaged_models import packaged_models


NAME, VERSION = "small-model", "1.2.3"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
BOMB = "raise RuntimeError('code of a package with weights has run')\n"


def write_gguf(file, seed=0):
    """A random Llama with weights in Q8_0; returns them as the gguf package dequantises them, by their names there."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import dequantize, quantize
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<|end|>", *sorted(ByteLevel.alphabet()), "Ġt", "he", "Ġthe"]
    hidden, inner, num_heads, num_kv_heads, head = 64, 96, 4, 2, 16
    shapes = {"token_embd": (len(tokens), hidden), "output": (len(tokens), hidden)}
    shapes |= {"blk.0.attn_q": (hidden, hidden), "blk.0.attn_output": (hidden, hidden)}
    shapes |= dict.fromkeys(("blk.0.attn_k", "blk.0.attn_v"), (num_kv_heads * head, hidden))
    shapes |= dict.fromkeys(("blk.0.ffn_gate", "blk.0.ffn_up"), (inner, hidden)) | {"blk.0.ffn_down": (hidden, inner)}
    writer = GGUFWriter(file, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(num_heads)
    writer.add_head_count_kv(num_kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(head)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, *[1] * (len(tokens) - 1)])
    writer.add_token_merges(["Ġ t", "h e", "Ġt he"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_chat_template(TEMPLATE)
    generator, weights = numpy.random.default_rng(seed), {}
    for name, shape in shapes.items():
        data = quantize(generator.normal(size=shape).astype(numpy.float32), GGMLQuantizationType.Q8_0)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=GGMLQuantizationType.Q8_0)
        weights[name] = dequantize(data, GGMLQuantizationType.Q8_0)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", numpy.ones(hidden, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def install(site, package, files, version=VERSION):
    """Puts a package where Python finds packages, as pip does; importing it is an error."""
    module = package.replace("-", "_")
    contents = {f"{module}/__init__.py": BOMB.encode(), **{f"{module}/{name}": data for name, data in files.items()}}
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    contents[f"{module}-{version}.dist-info/METADATA"] = metadata.encode()
    contents[f"{module}-{version}.dist-info/RECORD"] = "".join(f"{name},,\n" for name in contents).encode()
    for name, data in contents.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)


def install_model(site, data, num_parts=3, name=NAME):
    """Installs packages with the parts of `data` and one with terms; the file of a registry that knows them."""
    size = -(-len(data) // num_parts)
    parts = [data[i * size : (i + 1) * size] for i in range(num_parts)]
    listed = []
    for number, part in enumerate(parts, 1):
        package, file = f"{name}-part{number}", f"data/part{number}.bin"
        install(site, package, {file: part})
        sha256 = hashlib.sha256(part).hexdigest()
        listed.append({"package": package, "file": file, "num_bytes": len(part), "sha256": sha256})
    install(site, f"{name}-terms", {"data/TERMS.txt": b"Be good."})
    entry = {
        "title": "Small 1M",
        "version": VERSION,
        "sha256": hashlib.sha256(data).hexdigest(),
        "model_bytes": 100_000,
        "memory_bytes": 1_000_000,
        "licence": "Small Terms",
        "licence_url": "https://example.org/terms",
        "has_terms_of_use": True,
        "licence_files": [[f"{name}-terms", "TERMS.txt"]],
        "parts": listed,
    }
    file = site.parent / "registry.json"
    file.write_text(json.dumps({name: entry}))
    return file


def model_of(file, name=NAME):
    return packaged_models(file)[name]

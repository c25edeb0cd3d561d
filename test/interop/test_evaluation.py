"""`gpt eval` against PyTorch, transformers and NLTK."""

import json
import random

import pytest
import torch
from conftest import TEXT, gpt, node
from nltk.lm import KneserNeyInterpolated
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

STRIDES = [1, 5, 16]


def strided(folder, ids, stride):
    """The cost in nats and the rank of every token but the first, window by window, as in Hugging Face's guide to perplexity."""
    model, T = AutoModelForCausalLM.from_pretrained(folder).eval(), 16
    losses, ranks = [], []
    scored = 1
    for begin in range(0, len(ids), stride):
        end = min(begin + T, len(ids) - 1)
        with torch.no_grad():
            logits = model(torch.tensor([ids[begin:end]])).logits[0]
        targets = torch.tensor(ids[begin + 1 : end + 1])
        new = slice(scored - begin - 1, None)  # what earlier windows have scored is context only
        losses += torch.nn.functional.cross_entropy(logits, targets, reduction="none")[new].tolist()
        ranks += (logits > logits.gather(1, targets[:, None])).sum(1)[new].tolist()
        scored = end + 1
        if end == len(ids) - 1:
            return losses, ranks


@pytest.mark.parametrize("stride", STRIDES)
def test_strided_losses_agree(model, corpus, stride):
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    ids, unknown = tokenizer.encode(TEXT).ids, tokenizer.token_to_id("<unk>")
    losses, ranks = strided(model, ids, stride)
    assert len(losses) == len(ids) - 1
    ours = json.loads(gpt("eval", corpus, "-m", model, "--json", "--stride", stride))
    assert ours["nats_per_token"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert ours["unknown_tokens"] == ids.count(unknown)  # the text names <unk>
    for n in (1, 5):
        right = sum(rank < n and id != unknown for rank, id in zip(ranks, ids[1:], strict=True)) / len(ranks)
        assert ours[f"accuracy_at_{n}"] == pytest.approx(right, abs=2 / len(ranks))  # near ties


def test_each_token_costs_the_same(model, corpus):
    ids = Tokenizer.from_file(str(model / "tokenizer.json")).encode(TEXT).ids
    losses, _ = strided(model, ids, 5)
    lines = [json.loads(line) for line in gpt("eval", corpus, "-m", model, "--tokens", "--stride", "5").splitlines()]
    assert [line["id"] for line in lines] == ids
    assert "".join(line["text"] for line in lines) == TEXT
    ours = torch.tensor([line["bits"] for line in lines[1:]]) * torch.log(torch.tensor(2.0))
    assert torch.allclose(ours, torch.tensor(losses), atol=2e-4)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_kneser_ney_agrees_with_nltk(order):
    """NLTK has one discount for all counts and none for unigrams; ours can be told to do the same."""
    draw = random.Random(order)
    text, vocabulary, discount = [draw.choice("aaabbcd") for _ in range(200)], "abcd", 0.4
    marked = ["<s>"] * (order - 1) + text
    ngrams = [tuple(marked[end - n : end]) for end in range(order, len(marked) + 1) for n in range(1, order + 1)]
    theirs = KneserNeyInterpolated(order, discount)
    theirs.fit([ngrams], vocabulary_text=[*vocabulary, "<s>"])
    contexts = [[]] + [[draw.choice(vocabulary) for _ in range(order - 1)] for _ in range(20)]
    discounts = [[0, 0, 0]] + [[discount] * 3] * (order - 1)
    request = {
        "text": [vocabulary.index(word) for word in text],
        "vocabSize": len(vocabulary),
        "discounts": discounts,
        "contexts": [[vocabulary.index(word) for word in context] for context in contexts],
    }
    ours = json.loads(node("test/interop/ngram.js", json.dumps(request)))
    for context, row in zip(contexts, ours, strict=True):
        expected = [theirs.score(word, context) for word in vocabulary]
        assert row == pytest.approx(expected, abs=1e-12)
        assert sum(row) == pytest.approx(1)

"""A vocabulary that grows when a model is fine-tuned, beside transformers."""

import pytest
import torch
from conftest import SIZES, TINY, gpt
from transformers import AutoModelForCausalLM, AutoTokenizer

OLD = "old pond still water<|endoftext|>rain upon\nthe roof <|endoftext|> salt wind<|endoftext|>" * 30


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_a_grown_vocabulary_has_the_ids_of_transformers_and_new_rows_that_are_the_mean(tmp_path, kind):
    (tmp_path / "old.txt").write_text(OLD)
    base = tmp_path / "base"
    gpt("train", tmp_path / "old.txt", "-o", base, "--tokenizer", kind, *SIZES[kind], *TINY, "--arch", "qwen3")
    text = "ein <|user|>größerer Teich, 日本 😀<|bot|> salt wind\n" * 30
    source = tmp_path / "new.txt"
    source.write_bytes(text.encode())
    still = ("--learning-rate", "0", "--min-lr", "0", "--max-iters", "1")
    grown = tmp_path / "grown"
    added = ("--grow-vocab", "--special-tokens", "<|user|>,<|bot|>")
    gpt("train", source, "--init-from", base, *added, *still, "--batch-size", "4", "--quiet", "-o", grown)
    tokenizer = AutoTokenizer.from_pretrained(grown)
    ids = [int(word) for word in gpt("tokenize", "--encode", "-m", grown, stdin=text.encode()).split()]
    assert ids == tokenizer(text).input_ids
    assert tokenizer.decode(ids) == text
    assert tokenizer.unk_token_id not in ids or kind == "bpe"
    before = AutoTokenizer.from_pretrained(base).get_vocab()
    assert {token: tokenizer.get_vocab()[token] for token in before} == before
    theirs = AutoModelForCausalLM.from_pretrained(base)
    theirs.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    ours = AutoModelForCausalLM.from_pretrained(grown)
    for table, wanted in [
        (ours.get_input_embeddings(), theirs.get_input_embeddings()),
        (ours.get_output_embeddings(), theirs.get_output_embeddings()),
    ]:
        old = wanted.weight[: len(before)]
        assert table.weight.shape == wanted.weight.shape
        torch.testing.assert_close(table.weight[: len(before)], old, rtol=0, atol=0)
        mean = old.double().mean(dim=0).float().expand(len(tokenizer) - len(before), -1)
        torch.testing.assert_close(table.weight[len(before) :], mean)

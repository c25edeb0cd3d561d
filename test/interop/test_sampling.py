"""`gpt sample` against `generate` of transformers."""

import json

import pytest
import torch
from conftest import gpt
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = "Call me"
TOKENS = 7  # with the prompt less than a block, beyond which the two differ on purpose


def ours(model, *flags):
    lines = gpt("sample", "-m", model, "--prompt", PROMPT, "-n", str(TOKENS), "--json", *map(str, flags))
    return [json.loads(line) for line in lines.decode().split("\n")[:-1]]


@pytest.mark.parametrize(
    ("beams", "length_penalty", "ends"),
    [(1, 1.0, False), (2, 1.0, False), (5, 1.0, False), (5, 1.0, True), (5, 0.0, True), (4, 3.0, True), (3, -1.0, True)],
)
def test_beam_search_finds_the_same_texts(model, beams, length_penalty, ends):
    theirs = AutoModelForCausalLM.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    # A token that greedy text has somewhere, so that some texts end there.
    (greedy,) = ours(model, "--greedy")
    stop = greedy["tokens"][2]
    if ends and sum(stop["text"] in tokenizer.decode([id]) for id in range(len(tokenizer))) > 1:
        pytest.skip("theirs end at a token, ours at a text, which other tokens have too")
    found = theirs.generate(
        ids,
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=TOKENS,
        length_penalty=length_penalty,
        do_sample=False,
        early_stopping=False,
        eos_token_id=stop["id"] if ends else None,
        pad_token_id=0,
        suppress_tokens=[theirs.config.vocab_size - 1],
        return_dict_in_generate=True,
        output_scores=True,
    )
    flags = ["--stop", stop["text"].replace("\n", "\\n")] if ends else []
    texts = ours(model, "--beams", beams, "--num-samples", beams, "--length-penalty", length_penalty, *flags)
    assert len(texts) == beams
    for text, sequence in zip(texts, found.sequences):
        written = sequence[ids.shape[1] :].tolist()
        if ends and stop["id"] in written:
            written = written[: written.index(stop["id"]) + 1]
            assert text["finish_reason"] == "stop"
        assert [token["id"] for token in text["tokens"]] == written
    if beams > 1:
        lengths = [len(text["tokens"]) for text in texts]
        scores = [text["logprob"] / length**length_penalty for text, length in zip(texts, lengths)]
        assert scores == pytest.approx(found.sequences_scores.tolist(), rel=1e-3)


def test_log_probabilities_agree(model):
    theirs = AutoModelForCausalLM.from_pretrained(model).eval()
    (text,) = ours(model, "--seed", 1, "--temperature", 1.5, "--top-k", 20, "--repetition-penalty", 1.2)
    ids = text["prompt_ids"] + [token["id"] for token in text["tokens"]]
    with torch.no_grad():
        logs = torch.log_softmax(theirs(torch.tensor([ids])).logits[0], dim=-1)
    for i, token in enumerate(text["tokens"]):
        row = logs[len(text["prompt_ids"]) + i - 1]
        assert token["logprob"] == pytest.approx(row[token["id"]].item(), rel=1e-3)
        best = torch.topk(row, 5)
        assert [other["logprob"] for other in token["top"]] == pytest.approx(best.values.tolist(), rel=1e-3)

"""GPT-2s that are not OpenAI's: what transformers computes, before fine-tuning here and after it."""

import shutil

import pytest
import torch
from conftest import gpt, our_logits
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

VARIANTS = {
    "exact gelu": {"activation_function": "gelu"},
    "gelu_pytorch_tanh": {"activation_function": "gelu_pytorch_tanh"},
    "an untied head": {"tie_word_embeddings": False},
    "a narrow MLP": {"n_inner": 40},
    "scores divided by the layer": {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
    "scores that are not scaled": {"scale_attn_weights": False},
    "all at once": {"activation_function": "gelu", "tie_word_embeddings": False, "n_inner": 100, "scale_attn_by_inverse_layer_idx": True},
}
IDS = [(i * 37 + 11) % 50 for i in range(16)]


def logits(model):
    with torch.no_grad():
        return model.eval()(torch.tensor([IDS])).logits[0]


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_both_directions(name, sharded, corpus, tmp_path, model):
    if sharded and name != "all at once":
        pytest.skip("one is enough")
    torch.manual_seed(1)
    vocabulary = AutoModelForCausalLM.from_pretrained(model).config.vocab_size
    config = GPT2Config(vocab_size=vocabulary, n_positions=16, n_embd=24, n_layer=3, n_head=3, **VARIANTS[name])
    theirs = GPT2LMHeadModel(config)
    for parameter in theirs.parameters():  # biases are 0 at first, and weights too small to tell scales apart
        torch.nn.init.normal_(parameter, std=0.2)
    source = tmp_path / "source"
    theirs.save_pretrained(source, **({"max_shard_size": "20KB"} if sharded else {}))
    assert (source / "model.safetensors.index.json").exists() == sharded
    shutil.copy(model / "tokenizer.json", source)
    assert (torch.tensor(our_logits(source, IDS)) - logits(theirs)).abs().max() < 1e-4
    tuned = tmp_path / "tuned"
    gpt("train", corpus, "--init-from", source, "-o", tuned, "--max-iters", 3, "--batch-size", 2, "--quiet")
    again = AutoModelForCausalLM.from_pretrained(tuned)
    assert (torch.tensor(our_logits(tuned, IDS)) - logits(again)).abs().max() < 1e-4
    assert (logits(again) - logits(theirs)).abs().max() > 1e-3
    if "tie_word_embeddings" in VARIANTS[name]:
        assert not torch.equal(again.lm_head.weight, again.transformer.wte.weight)


def test_weights_of_pytorch_are_converted_by_the_line_that_the_hint_gives(tmp_path, model):
    theirs = AutoModelForCausalLM.from_pretrained(model)
    folder = tmp_path / "m"
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("checkpoint-*", "*.safetensors"))
    torch.save(theirs.state_dict(), folder / "pytorch_model.bin")
    AutoModelForCausalLM.from_pretrained(str(folder)).save_pretrained(str(folder))
    assert (torch.tensor(our_logits(folder, IDS)) - logits(theirs)).abs().max() < 1e-4

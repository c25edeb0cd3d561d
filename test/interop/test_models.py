"""Our model folders in `transformers`, unchanged; and theirs here."""

import json

import numpy as np
import pytest
import torch
from conftest import TEXT, TINY, gpt, our_logits
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def check_logits(folder, model=None):
    model = (model or AutoModelForCausalLM.from_pretrained(folder)).eval()
    T, V = model.config.max_position_embeddings, model.config.vocab_size  # n_positions, for a GPT-2
    ids = [(i * 37 + 11) % V for i in range(T)]
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0].numpy()
    assert relative_error(np.array(our_logits(folder, ids)), theirs) < 1e-4


def test_model_loads_with_every_tensor_and_nothing_else(model):
    _, info = AutoModelForCausalLM.from_pretrained(model, output_loading_info=True)
    assert not any(info[key] for key in info), info


def test_logits_agree(model):
    check_logits(model)


def test_checkpoint_is_a_model_too(model):
    (checkpoint,) = model.glob("checkpoint-*")
    check_logits(checkpoint)


def test_loss_agrees(model, corpus):
    """`gpt eval` against the cross-entropy of transformers over the same windows."""
    ours = json.loads(gpt("eval", corpus, "-m", model, "--json"))
    ids = AutoTokenizer.from_pretrained(model)(TEXT).input_ids
    assert ours["tokens"] == len(ids)
    theirs, T = AutoModelForCausalLM.from_pretrained(model).eval(), 16
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(ids) - 1, T):
            window = torch.tensor(ids[start : start + T + 1])
            logits = theirs(window[None, :-1]).logits[0]
            total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    assert ours["nats_per_token"] == pytest.approx(total / (len(ids) - 1), rel=1e-5)


def test_greedy_text_agrees(model):
    tokenizer = AutoTokenizer.from_pretrained(model)
    theirs = AutoModelForCausalLM.from_pretrained(model).eval()
    prompt = "Call me"
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    out = theirs.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0, suppress_tokens=[theirs.config.vocab_size - 1])
    ours = gpt("sample", "-m", model, "--prompt", prompt, "--greedy", "-n", "8").decode()
    assert ours == tokenizer.decode(out[0], clean_up_tokenization_spaces=False) + "\n"


def test_tokenizer_loads(model):
    tokenizer = AutoTokenizer.from_pretrained(model)
    text = "Call me Ishmael. Some years ago"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    if "<|endoftext|>" in tokenizer.get_vocab():
        assert tokenizer.eos_token == tokenizer.bos_token == "<|endoftext|>"
    else:
        assert tokenizer.unk_token == "<unk>"
    assert tokenizer.model_max_length == 16


@pytest.mark.parametrize("flags", ["--activation relu", "--positions sinusoidal", "--optimizer sgd"])
def test_variants_of_gpt2_load(corpus, tmp_path, flags):
    folder = tmp_path / "run"
    gpt("train", corpus, "-o", folder, *TINY, *flags.split())
    check_logits(folder)


def test_what_is_not_gpt2_is_refused(corpus, tmp_path):
    folder = tmp_path / "run"
    gpt("train", corpus, "-o", folder, *TINY, "--norm", "post")
    with pytest.raises(ValueError, match="gpt-trainer"):
        AutoModelForCausalLM.from_pretrained(folder)


def test_safetensors_reads_our_files(model):
    (checkpoint,) = model.glob("checkpoint-*")
    for file in (model / "model.safetensors", checkpoint / "optimizer.safetensors"):
        tensors = load_file(file)
        assert tensors and all(tensor.dtype == torch.float32 for tensor in tensors.values())
        with safe_open(file, "pt") as f:
            assert len(f.metadata()["gpt_trainer_crc32"]) == 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_their_models_load_here(model, tmp_path, dtype):
    """A GPT-2 that transformers saved, with our tokenizer beside it."""
    vocab_size = AutoModelForCausalLM.from_pretrained(model).config.vocab_size
    config = GPT2Config(vocab_size=vocab_size, n_positions=16, n_embd=24, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(1)
    theirs = GPT2LMHeadModel(config).to(dtype)
    theirs.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    check_logits(tmp_path, theirs.float())

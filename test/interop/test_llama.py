"""Models of the Llama family, ours in `transformers` and theirs here."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import TINY, gpt, our_logits
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

FLAGS = {
    "llama": "--arch llama",
    "llama-grouped": "--arch llama --n-head 4 --n-kv-head 2 --rope-theta 500000",
    "qwen3": "--arch qwen3",
    "qwen3-wide": "--arch qwen3 --n-head 4 --n-kv-head 1 --head-size 10 --tie-word-embeddings true",
}


def check_logits(folder, model, positions=16):
    ids = [(i * 37 + 11) % model.config.vocab_size for i in range(positions)]
    with torch.no_grad():
        theirs = model.eval()(torch.tensor([ids])).logits[0].numpy()
    ours = np.array(our_logits(folder, ids))
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4


@pytest.fixture(scope="module", params=FLAGS)
def folder(request, corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("llama") / request.param
    gpt("train", corpus, "-o", path, *TINY, *FLAGS[request.param].split(), "--learning-rate", "0.01")
    return path


def test_our_model_loads_with_every_tensor_and_the_same_logits(folder):
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info[key] for key in info), info
    assert type(model).__name__ == ("LlamaForCausalLM" if "llama" in folder.name else "Qwen3ForCausalLM")
    check_logits(folder, model)


def test_greedy_text_agrees(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer("Call me", return_tensors="pt").input_ids
    unknown = model.config.vocab_size - 1
    out = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0, suppress_tokens=[unknown])
    ours = gpt("sample", "-m", folder, "--prompt", "Call me", "--greedy", "-n", "8").decode()
    assert ours == tokenizer.decode(out[0], clean_up_tokenization_spaces=False) + "\n"


def save_with_our_tokenizer(model, source, target):
    """A folder of transformers' making, with the tokenizer of a model of ours."""
    model.save_pretrained(target)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((source / name).read_bytes())


SIZES = dict(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    max_position_embeddings=32,
    initializer_range=0.3,
    bos_token_id=None,
    eos_token_id=None,
)
THEIRS = {
    "llama": lambda V: LlamaForCausalLM(LlamaConfig(vocab_size=V, num_attention_heads=4, **SIZES)),
    "llama with grouped queries, tied": lambda V: LlamaForCausalLM(
        LlamaConfig(vocab_size=V, num_attention_heads=6, num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-5, **SIZES)
    ),
    "qwen3, wide heads": lambda V: Qwen3ForCausalLM(
        Qwen3Config(vocab_size=V, num_attention_heads=4, num_key_value_heads=2, head_dim=16, **SIZES)
    ),
}


@pytest.mark.parametrize("folder", ["qwen3"], indirect=True)
@pytest.mark.parametrize("name", THEIRS)
def test_their_model_is_read(folder, tmp_path, name):
    torch.manual_seed(7)
    V = AutoModelForCausalLM.from_pretrained(folder).config.vocab_size
    model = THEIRS[name](V)
    save_with_our_tokenizer(model, folder, tmp_path / "model")
    check_logits(tmp_path / "model", model, 32)


@pytest.mark.parametrize("folder", ["llama"], indirect=True)
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "rope_parameters"),
    ],
)
def test_what_would_compute_something_else_is_refused(folder, tmp_path, change, field):
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AssertionError, match=field):
        our_logits(tmp_path / "model", [1, 2])


@pytest.mark.parametrize("folder", ["llama-grouped", "qwen3-wide"], indirect=True)
def test_their_optimizer_step_agrees(folder, corpus, tmp_path):
    """One step of SGD on the same rows: every gradient, through both implementations."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    before = {name: x.detach().clone() for name, x in model.named_parameters()}
    text = corpus.read_text()[:400]
    (tmp_path / "text.txt").write_text(text)
    gpt(
        "train", tmp_path / "text.txt", "--init-from", folder, "-o", tmp_path / "run", "--quiet",
        *"--optimizer sgd --momentum 0 --weight-decay 0 --grad-clip 0 --dropout 0 --schedule constant --learning-rate 0.1".split(),
        *"--warmup-iters 0 --max-iters 1 --batch-size 1 --block-size 16 --val-fraction 0 --eval-interval 0".split(),
    )  # fmt: skip
    after = dict(AutoModelForCausalLM.from_pretrained(tmp_path / "run").named_parameters())
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt").input_ids[0]
    losses = []
    for start in range(len(ids) - 16):
        for name, x in model.named_parameters():
            x.data = before[name].clone()
            x.grad = None
        window = ids[start : start + 17]
        loss = torch.nn.functional.cross_entropy(model(window[None, :-1]).logits[0], window[1:])
        loss.backward()
        difference = max(
            ((after[name] - (x - 0.1 * x.grad)).abs().max() / (x.grad.abs().max() * 0.1 + 1e-8)).item()
            for name, x in model.named_parameters()
        )
        losses.append(difference)
    assert min(losses) < 1e-3, min(losses)

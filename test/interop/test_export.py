"""Folders that `gpt export --format safetensors` writes, in transformers and in PyTorch."""

import json

import numpy as np
import pytest
import torch
from conftest import TEXT, TINY, gpt, our_logits
from safetensors.torch import load_file
from test_models import relative_error
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
ARCHITECTURES = {"gpt2": [], "llama": ["--arch", "llama", "--n-kv-head", "1"], "qwen3": ["--arch", "qwen3"]}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / request.param
    gpt("train", corpus, "-o", folder, *ARCHITECTURES[request.param], *TINY)
    return folder


@pytest.fixture(params=DTYPES)
def exported(request, trained, tmp_path):
    folder = tmp_path / request.param
    gpt("export", trained, "--format", "safetensors", "--dtype", request.param, "-o", folder)
    return folder


def test_weights_are_those_of_pytorch(trained, exported):
    dtype = DTYPES[exported.name]
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, exported))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        rounded = tensor.to(dtype)
        assert after[name].dtype == dtype
        assert after[name].view(torch.uint8).equal(rounded.view(torch.uint8)), name


def test_transformers_loads_it_in_its_dtype(exported):
    theirs, info = AutoModelForCausalLM.from_pretrained(exported, output_loading_info=True)
    assert not any(info[key] for key in info), info
    assert theirs.dtype == AutoConfig.from_pretrained(exported).dtype == DTYPES[exported.name]
    tokenizer = AutoTokenizer.from_pretrained(exported)
    ids = tokenizer("Call me", return_tensors="pt").input_ids
    assert theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, pad_token_id=0).shape[1] > ids.shape[1]


def test_we_compute_with_its_weights(exported):
    theirs = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(exported)(TEXT).input_ids[:16]
    with torch.no_grad():
        logits = theirs(torch.tensor([ids])).logits[0].numpy()
    assert relative_error(np.array(our_logits(exported, ids)), logits) < 1e-4
    assert json.loads(gpt("inspect", exported, "--json"))

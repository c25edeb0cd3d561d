"""Low-rank adapters: ours in PEFT, PEFT's here, and merged."""

import json

import numpy as np
import pytest
import torch
from conftest import TINY, gpt, our_logits
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

ARCHITECTURES = {
    "gpt2": "--arch gpt2",
    "llama": "--arch llama --n-head 4 --n-kv-head 2",
    "qwen3": "--arch qwen3 --tie-word-embeddings true",
}


def logits_of(model, ids):
    with torch.no_grad():
        return model.eval()(torch.tensor([ids])).logits[0].numpy()


def check(folder, model):
    ids = [(i * 37 + 11) % model.config.vocab_size for i in range(16)]
    ours, theirs = np.array(our_logits(folder, ids)), logits_of(model, ids)
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4
    return theirs


@pytest.fixture(scope="module", params=ARCHITECTURES)
def base(request, corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora") / request.param
    gpt("train", corpus, "-o", folder, *TINY, *ARCHITECTURES[request.param].split(), "--learning-rate", "0.01")
    return folder


@pytest.fixture(scope="module")
def adapter(base, corpus):
    folder = base.with_name(f"{base.name}-adapter")
    flags = "--lora-rank 3 --lora-dropout 0.1 --learning-rate 0.02 --max-iters 20 --batch-size 4"
    gpt("train", corpus, "--init-from", base, "-o", folder, *flags.split())
    return folder


def test_peft_computes_the_logits_of_our_adapter(base, adapter):
    theirs = check(adapter, AutoPeftModelForCausalLM.from_pretrained(adapter))
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    assert np.abs(theirs - logits_of(loaded, [11, 48 % loaded.config.vocab_size])[0]).max() > 0
    plain = AutoModelForCausalLM.from_pretrained(base)
    ids = [(i * 37 + 11) % plain.config.vocab_size for i in range(16)]
    assert np.abs(theirs - logits_of(plain, ids)).max() > 1e-2  # the adapter changes something


def test_our_merged_model_is_that_of_merge_and_unload(adapter, tmp_path):
    gpt("export", adapter, "--merge", "--dtype", "f32", "-o", tmp_path / "merged")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    theirs = AutoPeftModelForCausalLM.from_pretrained(adapter).merge_and_unload()
    expected = theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        assert torch.allclose(tensor, expected[name], rtol=1e-5, atol=1e-6), name
    check(tmp_path / "merged", theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": "all-linear"},
        {"target_modules": ["c_attn", "q_proj", "v_proj"], "use_rslora": True, "lora_alpha": 5},
    ],
    ids=["all-linear", "attention, rank-stabilized"],
)
def test_an_adapter_made_by_peft_loads(base, tmp_path, options):
    torch.manual_seed(7)
    known = [name for name, _ in AutoModelForCausalLM.from_pretrained(base).named_modules()]
    targets = options["target_modules"]
    if isinstance(targets, list):
        targets = [target for target in targets if any(name.endswith(target) for name in known)]
    config = LoraConfig(**{"r": 4, "task_type": "CAUSAL_LM", **options, "target_modules": targets})
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "theirs")
    check(tmp_path / "theirs", model)


def test_an_adapter_continues_here_where_peft_left_it(base, corpus, tmp_path):
    torch.manual_seed(8)
    config = LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path / "theirs")
    flags = "--learning-rate 0 --min-lr 0 --max-iters 1 --batch-size 2"
    gpt("train", corpus, "--init-from", tmp_path / "theirs", "-o", tmp_path / "ours", *flags.split())
    check(tmp_path / "ours", model)
    assert json.loads((tmp_path / "ours/adapter_config.json").read_text())["r"] == 2
    check(tmp_path / "ours", AutoPeftModelForCausalLM.from_pretrained(tmp_path / "ours"))

"""Runs docs/use-elsewhere.md as it stands: each of its programs, on a model of each tokenizer, against our own results."""

import json
import math
import re
import shlex
import shutil
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, SIZES, TINY, gpt, our_logits
from transformers import AutoTokenizer

PAGE = (ROOT / "docs/use-elsewhere.md").read_text()
FOLDER = "checkpoints/moby-dick-1"
PROMPT = "Call me"


def blocks(section, language):
    """The code blocks of a section, in order."""
    text = re.split(r"^## ", PAGE.split(f"\n## {section}\n")[1], flags=re.M)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


RECIPES = {"qwen3": ("--optimizer", "muon"), "gpt2": ()}


@pytest.fixture(scope="module", params=[(tokenizer, "qwen3") for tokenizer in SIZES] + [("bpe", "gpt2")], ids="-".join)
def trained(request, corpus, tmp_path_factory):
    """A run whose context is as long as the page's examples need."""
    tokenizer, arch = request.param
    folder = tmp_path_factory.mktemp("trained") / tokenizer
    options = [*SIZES[tokenizer], *TINY, "--arch", arch, *RECIPES[arch], "--block-size", 48]
    gpt("train", corpus, "-o", folder, "--tokenizer", tokenizer, *options)
    return folder


@pytest.fixture
def workspace(trained, tmp_path, monkeypatch):
    """A working directory in which the page's model folder is the model under test."""
    shutil.copytree(trained, tmp_path / FOLDER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def execute(code):
    variables = {}
    exec(code, variables)  # noqa: S102 (the page's own code)
    return variables


def prompt_ids():
    return AutoTokenizer.from_pretrained(FOLDER)(PROMPT).input_ids


def greedy(count):
    """What `gpt sample --greedy` adds to the prompt, as ids."""
    (line,) = gpt("sample", "-m", FOLDER, "--prompt", PROMPT, "--greedy", "-n", count, "--json", cwd=".").splitlines()
    return [token["id"] for token in json.loads(line)["tokens"]]


def test_pipeline_with_the_defaults_of_the_folder(workspace, capsys):
    execute(blocks("transformers", "py")[0])
    assert capsys.readouterr().out.startswith(PROMPT)


def test_transformers_computes_our_loss(workspace):
    found = execute(blocks("transformers", "py")[1])
    ids = found["ids"][0].tolist()
    logits = torch.tensor(our_logits(workspace / FOLDER, ids))
    ours = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:])).item()
    assert found["loss"].item() == pytest.approx(ours, rel=1e-4)


def test_a_merged_adapter_of_peft_loads_here(workspace):
    model = execute(blocks("peft", "py")[0])["model"]
    (command,) = blocks("peft", "sh")
    assert gpt(*shlex.split(command)[2:], cwd=".").startswith(PROMPT.encode())
    ids = prompt_ids()
    with torch.no_grad():
        theirs = model.eval()(torch.tensor([ids])).logits[0].numpy()
    assert np.abs(np.array(our_logits(workspace / "checkpoints/moby-dick-lora", ids)) - theirs).max() < 1e-4


def test_lm_eval_charges_what_we_charge(workspace, monkeypatch):
    from lm_eval.__main__ import cli_evaluate  # in this process, which has imported torch and transformers

    (task,) = blocks("lm-eval", "yaml")
    (document,) = blocks("lm-eval", "json")
    (command,) = blocks("lm-eval", "bash")
    text = json.loads(document)["text"][:40]  # one window, so that the context is the same here
    (workspace / "tasks").mkdir()
    (workspace / "tasks/my_text.yaml").write_text(task)
    (workspace / "tasks/my_text.jsonl").write_text(json.dumps({"text": text}) + "\n")
    monkeypatch.setattr(sys, "argv", [*command.split(), "--output_path", "results"])
    cli_evaluate()
    (report,) = (workspace / "results").rglob("results_*.json")
    theirs = json.loads(report.read_text())["results"]["my_text"]["bits_per_byte,none"]

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    ids = [tokenizer.bos_token_id or tokenizer.eos_token_id, *tokenizer(text).input_ids]
    logits = torch.tensor(our_logits(workspace / FOLDER, ids[:-1]))
    nats = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum").item()
    assert theirs == pytest.approx(nats / math.log(2) / len(text.encode()), rel=1e-4)


def test_ctranslate2_continues_as_we_do(workspace):
    found = execute(blocks("CTranslate2", "py")[0])
    ids = found["result"].sequences_ids[0]
    added = ids[len(prompt_ids()) :]
    assert ids[: len(prompt_ids())] == prompt_ids()
    assert added and added == greedy(len(added))


def test_onnx_runtime_computes_our_logits(workspace):
    found = execute(blocks("ONNX", "py")[0])
    ids = [[(i * 37 + 11) % found["model"].config.vocab_size for i in range(T)] for T in (9, found["longest"])]
    for each in ids:
        (theirs,) = found["session"].run(None, {"input_ids": np.array([each, each])})
        ours = np.array(our_logits(workspace / FOLDER, each))
        assert np.abs(theirs[1] - ours).max() / np.abs(ours).max() < 1e-4

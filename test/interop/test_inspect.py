"""What `gpt inspect` sees inside a model, beside what transformers and numpy see."""

import json

import numpy as np
import pytest
import torch
from conftest import gpt, node
from transformers import AutoModelForCausalLM


@pytest.fixture(scope="module")
def pair(model):
    """What our code finds in a model while it reads, and what transformers does."""
    theirs = AutoModelForCausalLM.from_pretrained(model, attn_implementation="eager").eval()
    ids = [(i * 37 + 11) % theirs.config.vocab_size for i in range(13)]
    ours = json.loads(node("test/interop/activations.js", model, json.dumps(ids)))
    with torch.no_grad():
        out = theirs(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
    return ours, out, theirs


def test_attention_maps_agree(pair):
    ours, out, _ = pair
    theirs = np.stack([layer[0].numpy() for layer in out.attentions])
    assert np.abs(np.array(ours["attentions"]).reshape(theirs.shape) - theirs).max() < 1e-5


def test_the_residual_stream_agrees(pair):
    """hidden_states holds the stream before each block; the last of them comes behind ln_f."""
    ours, out, theirs = pair
    stream = np.stack([hidden[0].numpy() for hidden in out.hidden_states[:-1]])
    residuals = np.array(ours["residuals"]).reshape(-1, *stream.shape[1:])
    assert np.abs(residuals[:-1] - stream).max() < 1e-4 * np.abs(stream).max()
    with torch.no_grad():
        last = theirs.transformer.ln_f(torch.tensor(residuals[-1], dtype=torch.float32)).numpy()
    assert np.abs(last - out.hidden_states[-1][0].numpy()).max() < 1e-4


def test_the_logit_lens_agrees(pair):
    ours, out, theirs = pair
    for depth, hidden in enumerate(out.hidden_states[:-1]):
        with torch.no_grad():
            logits = theirs.lm_head(theirs.transformer.ln_f(hidden))[0].numpy()
        assert np.abs(np.array(ours["lens"][depth]).reshape(logits.shape) - logits).max() < 1e-3
    logits = out.logits[0].numpy()
    assert np.abs(np.array(ours["lens"][-1]).reshape(logits.shape) - logits).max() < 1e-3


def test_weight_statistics_and_neighbors_agree(pair, model):
    _, _, theirs = pair
    found = {w["name"]: w for w in json.loads(gpt("inspect", model, "--json"))["weights"]}
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in theirs.state_dict().items()}
    for name, ours in found.items():
        tensor = tensors[name].double().numpy()
        for key, value in [("mean", tensor.mean()), ("std", tensor.std()), ("min", tensor.min()), ("norm", np.linalg.norm(tensor))]:
            assert ours[key] == pytest.approx(value, rel=1e-9, abs=1e-12)
    wte = tensors["wte.weight"].double().numpy()
    (token, *_) = json.loads(gpt("inspect", model, "--neighbors", ",", "--top", "5", "--json"))["tokens"]
    unit = wte / np.linalg.norm(wte, axis=1, keepdims=True)
    cosines = unit @ unit[token["id"]]
    cosines[token["id"]] = -2
    best = np.argsort(-cosines)[:5]
    assert [n["cosine"] for n in token["neighbors"]] == pytest.approx(cosines[best].tolist(), abs=1e-9)


def test_the_map_is_what_a_singular_value_decomposition_gives(pair):
    _, _, theirs = pair
    rows = theirs.transformer.wte.weight.detach().double().numpy()
    script = """
import { projectOntoPlane } from './dist/inspect/principal-components.js';
let text = '';
for await (const chunk of process.stdin) text += chunk;
const rows = JSON.parse(text);
process.stdout.write(JSON.stringify(projectOntoPlane(Float32Array.from(rows.flat()), rows[0].length)));
"""
    ours = json.loads(node("--input-type=module", "-e", script, stdin=json.dumps(rows.tolist()).encode()))
    u, s, vt = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    assert ours["explained"] == pytest.approx((s[:2] ** 2 / (s**2).sum()).tolist(), rel=1e-6)
    theirs_points = u[:, :2] * s[:2]
    for axis in range(2):
        sign = np.sign(vt[axis][np.abs(vt[axis]).argmax()])
        assert np.abs(np.array(ours["points"])[:, axis] - sign * theirs_points[:, axis]).max() < 1e-4 * s[0]

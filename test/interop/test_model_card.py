"""README.md as `huggingface_hub` reads it, and the Python that it shows."""

import math
import re

import pytest
from conftest import TEXT, TINY, gpt
from huggingface_hub import ModelCard

NAMES = ["book.txt", '---.txt', "a: [b] # {c}.txt", '"\'`|*<b>.txt', "no", "ü🐋\u2028.txt"]


def trained(folder, name, *flags):
    (folder / name).write_text(TEXT.replace("<unk>", ""))  # an unknown token has no length in bytes
    gpt("train", f"./{name}", "-o", "run", *TINY, "--max-iters", "4", *flags, cwd=folder)
    return ModelCard.load(folder / "run/README.md")


@pytest.mark.parametrize("name", NAMES)
def test_the_hub_client_reads_the_metadata(name, tmp_path):
    card = trained(tmp_path, name)
    data = card.data
    assert (data.library_name, data.pipeline_tag, data.license) == ("transformers", "text-generation", None)
    assert data.tags == ["gpt2", "gpt-trainer"]
    results = {result.metric_type: result for result in data.eval_results}
    assert data.model_name == name.removesuffix(".txt")
    assert {result.dataset_name for result in data.eval_results} == {name}
    loss, perplexity = results["loss"].metric_value, results["perplexity"].metric_value
    assert perplexity == pytest.approx(math.exp(loss))
    assert f"{loss:.4f} nats per token" in card.text
    assert results["bits_per_byte"].metric_value > 0
    assert str(tmp_path) not in card.content
    # A round trip through the client keeps everything.
    again = ModelCard(str(card))
    assert again.data.to_dict() == data.to_dict() and again.text == card.text


def test_its_python_runs(tmp_path):
    card = trained(tmp_path, "book.txt")
    for folder, exported in (("run", None), ("out", ["--format", "safetensors"])):
        if exported:
            gpt("export", "run", *exported, "-o", folder, cwd=tmp_path)
            card = ModelCard.load(tmp_path / folder / "README.md")
            assert "rounded to bf16" in card.text
        (python,) = re.findall(r"```py\n(.*?)```", card.text, re.DOTALL)
        exec(python.replace("path/to/this/folder", str(tmp_path / folder)), {})


def test_base_model_is_its_id_on_the_hub(tmp_path):
    trained(tmp_path, "book.txt")
    snapshot = tmp_path / "hub/models--me--whale/snapshots/0123abcd"
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "run").rename(snapshot)
    gpt("train", "book.txt", "--init-from", snapshot, "-o", "tuned", "--max-iters", "2", "--quiet", cwd=tmp_path)
    card = ModelCard.load(tmp_path / "tuned/README.md")
    assert card.data.base_model == "me/whale"

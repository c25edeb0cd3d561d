"""llama.cpp's own converter, convert_hf_to_gguf.py, on folders of ours, and its files beside those of `gpt export`.

CONVERT_HF_TO_GGUF names the script; without it, that of the source package of llama-cpp-python is downloaded once (77 MB).
"""

import os
import subprocess
import sys
import tarfile

import gguf
import pytest
from conftest import ROOT, TINY, gpt
from test_open_export import check, save_base, write_text

PACKAGE = "llama_cpp_python==0.3.36"
SENTENCEPIECE = "sentencepiece==0.2.3"  # the converter imports it for every model


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot {arguments[0]} what the converter needs: {done.stderr[-300:]}")


def download(kept):
    """The converter and its modules out of a source package. @returns the script"""
    root = f"{PACKAGE.replace('==', '-')}/vendor/llama.cpp/"
    script = kept / root / "convert_hf_to_gguf.py"
    if not script.exists():
        pip("download", "--no-deps", "--no-binary", "llama_cpp_python", "--dest", kept, PACKAGE)
        archive = kept / f"{PACKAGE.replace('==', '-')}.tar.gz"
        wanted = (root + "convert_hf_to_gguf.py", root + "conversion/", root + "gguf-py/")
        with tarfile.open(archive) as tar:
            tar.extractall(kept, [member for member in tar if member.name.startswith(wanted)], filter="data")
        archive.unlink()
    return script


@pytest.fixture(scope="session")
def convert(tmp_path_factory):
    """Converts a folder; returns whether that succeeded, and what the script printed."""
    kept = ROOT / ".venv/converter" if (ROOT / ".venv").is_dir() else tmp_path_factory.mktemp("converter")
    kept.mkdir(exist_ok=True)
    modules = kept / "modules"
    if not modules.exists():
        pip("install", "--target", modules, SENTENCEPIECE)
    script = os.environ.get("CONVERT_HF_TO_GGUF") or download(kept)

    def run(model, file):
        command = [sys.executable, script, model, "--outtype", "f32", "--outfile", file]
        environment = {**os.environ, "PYTHONPATH": str(modules)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stderr

    return run


@pytest.fixture(scope="module", params=["gpt2", "qwen3"])
def tuned(request, real, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    save_base(request.param, real, folder / "base")
    flags = "--max-iters 1 --batch-size 1 --eval-iters 1 --quiet".split()
    gpt("train", write_text(folder / "text.txt"), "--init-from", folder / "base", *flags, "-o", folder / "tuned")
    return folder / "tuned"


def test_its_file_is_that_of_gpt_export_and_runs(llama_cpp, convert, tuned, tmp_path):
    theirs, ours = tmp_path / "theirs.gguf", tmp_path / "ours.gguf"
    succeeded, log = convert(tuned, theirs)
    assert succeeded, log
    gpt("export", tuned, "--dtype", "f32", "-o", ours, "--quiet")
    compare(gguf.GGUFReader(theirs), gguf.GGUFReader(ours), padding=tuned.parent.name.startswith("qwen3"))
    check(llama_cpp, tuned, ours)


def compare(theirs, ours, padding):
    values = {key: field.contents() for key, field in theirs.fields.items()}
    found = {key: field.contents() for key, field in ours.fields.items()}
    for key in ("model", "pre", "tokens", "merges", "add_bos_token"):
        assert found[f"tokenizer.ggml.{key}"] == values.get(f"tokenizer.ggml.{key}", False), key
    architecture = values["general.architecture"]
    shared = [key for key in found if key.startswith(f"{architecture}.") and key in values]
    assert len(shared) >= 6
    for key in shared:
        assert found[key] == values[key], key
    tensors = {tensor.name: tensor.data for tensor in ours.tensors}
    for tensor in theirs.tensors:
        data = tensors.pop(tensor.name)
        if padding and tensor.name == "token_embd.weight":  # rows of padding are suppressed in ours
            known = sum(not token.startswith("[PAD") for token in values["tokenizer.ggml.tokens"])
            data, expected = data[:known], tensor.data[:known]
            assert known < len(tensor.data)
        else:
            expected = tensor.data
        assert data.tobytes() == expected.tobytes(), tensor.name
    assert not tensors


@pytest.mark.parametrize("arch,kind", [("gpt2", "bpe"), ("qwen3", "bpe"), ("llama", "char"), ("gpt2", "word")])
def test_a_vocabulary_of_ones_own_is_refused(convert, corpus, tmp_path, arch, kind):
    """docs/open-models.md says so; should the converter learn to read them, the page has to change."""
    sizes = ["--vocab-size", "300"] if kind == "bpe" else []
    flags = [*TINY, "--max-iters", "1"]
    gpt("train", corpus, "-o", tmp_path / "model", "--arch", arch, "--tokenizer", kind, *sizes, *flags)
    succeeded, log = convert(tmp_path / "model", tmp_path / "theirs.gguf")
    assert not succeeded
    assert "BPE pre-tokenizer was not recognized" in log, log

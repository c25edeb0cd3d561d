"""Products by a BLAS library instead of ours: OpenBLAS, as PyPI has it."""

import json
import pathlib

import pytest
import scipy_openblas32
from conftest import TINY, gpt, node

LIBRARY = pathlib.Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)


def test_products_agree_with_the_reference_at_any_number_of_threads():
    found = json.loads(node("test/interop/blas.js", LIBRARY))
    assert found["name"].endswith(" with OpenBLAS, 1 thread")
    assert found["products"] > 100


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blas")
    tiny = [*TINY, "--eval-interval", "30", "--seed", "1"]
    for name, *flags in [
        ("ours",),
        ("one", "--threads", "1", "--blas", LIBRARY),
        ("two", "--threads", "2", "--blas", LIBRARY),
    ]:
        gpt("train", corpus, "-o", folder / name, *tiny, *flags)
    return folder


def losses(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "loss" in line]


def test_training_gives_the_same_bits_with_any_number_of_threads(runs):
    one, two = [(runs / name / "model.safetensors").read_bytes() for name in ["one", "two"]]
    assert one == two


def test_training_goes_as_without_it(runs):
    ours, theirs = losses(runs / "ours"), losses(runs / "one")
    assert len(ours) == len(theirs) == 30
    assert max(abs(a - b) for a, b in zip(ours, theirs)) < 1e-3


def test_a_checkpoint_says_which_library_computed_it(runs):
    [state] = (runs / "one").glob("checkpoint-*/gpt_trainer_state.json")
    assert json.loads(state.read_text())["engine"] == "wasm revectorize with OpenBLAS"


def test_a_library_with_64_bit_integers_is_refused():
    numpy_libs = pathlib.Path(pytest.importorskip("numpy").__file__).parents[1] / "numpy.libs"
    [wide] = numpy_libs.glob("libscipy_openblas64_*")
    done = gpt_fails("doctor", "--blas", wide)
    assert "64-bit integers" in done


def gpt_fails(*args):
    with pytest.raises(AssertionError) as failure:
        gpt(*args)
    return str(failure.value)

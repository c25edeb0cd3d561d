"""Special tokens beside transformers: what is one, what begins and ends a text, and what survives a round trip."""

import json
import shutil

import ctranslate2
import pytest
import torch
from conftest import SIZES, TINY, gpt
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    pipeline,
)
from transformers.trainer_utils import align_special_tokens

UNK_TEXT = "The <unk> of the town was <unk> in 1923 . It has a <unk><unk> and a mill .\n" * 30
EOT_TEXT = "old pond still water<|endoftext|>rain upon\nthe roof <|endoftext|> salt wind<|endoftext|>" * 30


def our_ids(folder, text):
    return [int(word) for word in gpt("tokenize", "--encode", "-m", folder, stdin=text.encode()).split()]


def trained(folder, text, kind, *flags):
    source = folder.with_suffix(".txt")
    source.write_bytes(text.encode())
    gpt("train", source, "-o", folder, "--tokenizer", kind, *SIZES[kind], *TINY, *flags)
    return folder


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
@pytest.mark.parametrize("text", [UNK_TEXT, EOT_TEXT], ids=["unk", "endoftext"])
def test_special_tokens_in_a_text_are_the_same_ids(tmp_path, kind, text):
    folder = trained(tmp_path / "run", text, kind)
    ids = our_ids(folder, text)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert ids == tokenizer(text).input_ids
    assert ids == tokenizer.backend_tokenizer.encode(text).ids
    assert tokenizer.decode(ids) == text
    if kind != "bpe" and text is UNK_TEXT:
        assert ids.count(tokenizer.unk_token_id) == text.count("<unk>")


def test_generation_needs_no_arguments(model):
    """The prompt and what is written fit the model: generation_config.json says max_length, not how many to add."""
    write = pipeline("text-generation", str(model))
    assert write("Call me")[0]["generated_text"].startswith("Call me")
    theirs = AutoModelForCausalLM.from_pretrained(model)
    assert theirs.generation_config.max_length == theirs.config.n_positions == 16
    ids = AutoTokenizer.from_pretrained(model)("Call me", return_tensors="pt").input_ids
    assert theirs.generate(ids).shape[1] <= 16


def test_the_token_that_ends_a_text_has_its_roles(model):
    """The corpus has a literal <|endoftext|>, so all vocabularies have the token."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    theirs = AutoModelForCausalLM.from_pretrained(model)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert theirs.generation_config.eos_token_id == theirs.config.eos_token_id == end
    assert theirs.generation_config.bos_token_id == end
    assert tokenizer.bos_token == tokenizer.eos_token == "<|endoftext|>"
    assert tokenizer.unk_token == ("<unk>" if "<unk>" in tokenizer.get_vocab() else "<|endoftext|>")


def test_a_text_without_an_end_has_no_end_token(tmp_path):
    (tmp_path / "text.txt").write_text("the white whale and the sea.\n" * 40)
    gpt("train", tmp_path / "text.txt", "-o", tmp_path / "run", *TINY)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    assert theirs.generation_config.eos_token_id is None
    assert theirs.config.eos_token_id is None
    # Programs that need somebody in each role find somebody.
    assert tokenizer.bos_token == tokenizer.eos_token == tokenizer.unk_token == "<unk>"


def test_a_tokenizer_saved_again_by_transformers_loads(model, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(model, folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    text = "Call me <unk> <|endoftext|>"
    assert our_ids(folder, text) == our_ids(model, text)
    flags = ["--prompt", "Call me", "--seed", "1", "-n", "8"]
    assert gpt("sample", "-m", folder, *flags) == gpt("sample", "-m", model, *flags)


def test_a_folder_that_trainer_wrote_loads(model, tmp_path):
    """Trainer gives the model the tokenizer's start and end; in models of a text without an end `<unk>` plays both, which ends no text."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    theirs = AutoModelForCausalLM.from_pretrained(model)
    align_special_tokens(theirs, tokenizer)
    for part in (tokenizer, theirs):
        part.save_pretrained(tmp_path)
    assert our_ids(tmp_path, "Call me") == our_ids(model, "Call me")
    flags = ["--seed", "1", "-n", "8", "--json", "--allow-unk"]
    ours, before = (json.loads(gpt("sample", "-m", folder, *flags)) for folder in (tmp_path, model))
    assert ours == before


def test_an_added_padding_token_loads(model, tmp_path):
    """As people do before they train with batches: a token more, an embedding one row larger."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer(["Call", "Call me"], padding=True, truncation=True, max_length=8)  # leaves its mark in the file
    theirs = AutoModelForCausalLM.from_pretrained(model)
    theirs.resize_token_embeddings(len(tokenizer))
    for part in (tokenizer, theirs):
        part.save_pretrained(tmp_path)
    text = "Call[PAD] me"
    assert our_ids(tmp_path, text) == tokenizer(text).input_ids
    assert tokenizer.pad_token_id in our_ids(tmp_path, text)


def test_added_tokens_that_overlap_are_the_same_ids(model, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["Call", "all me"])  # normalized: matched after special tokens, whatever starts first
    tokenizer.add_tokens(["all"], special_tokens=True)
    tokenizer.save_pretrained(tmp_path)
    for text in ["Call me", "Cal me all me", "CCall Call meall"]:
        assert our_ids(tmp_path, text) == tokenizer(text).input_ids


def test_ctranslate2_converts_and_loads(model, tmp_path):
    out = str(tmp_path / "ct2")
    ctranslate2.converters.TransformersConverter(str(model)).convert(out)
    generator = ctranslate2.Generator(out)
    tokenizer = AutoTokenizer.from_pretrained(model)
    start = tokenizer.convert_ids_to_tokens(tokenizer("Call me").input_ids)
    (result,) = generator.generate_batch([start], max_length=12, sampling_topk=1)
    theirs = AutoModelForCausalLM.from_pretrained(model).eval()
    ids = torch.tensor([tokenizer("Call me").input_ids])
    out = theirs.generate(ids, max_length=12, do_sample=False, pad_token_id=0)[0].tolist()
    end = tokenizer.eos_token_id
    expected = out[: out.index(end)] if end in out else out
    assert result.sequences_ids[0][: len(expected)] == expected


# Folders with vocab.json and merges.txt


@pytest.fixture(scope="session")
def small_bpe(tmp_path_factory):
    """vocab.json and merges.txt of 300 tokens, `<|endoftext|>` among them, and a GPT-2 to go with them."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "text.txt").write_bytes(UNK_TEXT.encode())
    gpt("tokenize", folder / "text.txt", "--tokenizer", "bpe", "--vocab-size", "290", "-o", folder / "out")
    model = json.loads((folder / "out/tokenizer.json").read_text())["model"]
    old = folder / "old"
    old.mkdir()
    (old / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    (old / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return old


def old_folder(small_bpe, out, files, rows=0):
    """The tokenizer's files, and weights for as many rows as its tokens, or `rows`."""
    shutil.copytree(small_bpe, out)
    for name, content in files.items():
        (out / name).write_text(json.dumps(content))
    (out / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    tokenizer = AutoTokenizer.from_pretrained(out)
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=rows or len(tokenizer), n_positions=32, n_embd=8, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(out)
    return tokenizer


TOKEN = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
PROBES = ["a town[PAD] was<|im_end|>a", " town", "<|endoftext|>the mill", "[PAD]x <s>y", "", "<|im_start|> a<|im_start|>b\n"]
COMPANIONS = {
    "nothing": {},
    "added_tokens.json": {"added_tokens.json": {"[PAD]": 0, "<|im_end|>": 1}},
    "special_tokens_map.json": {
        "special_tokens_map.json": {
            "bos_token": "<s>",
            "eos_token": {"content": "<|im_end|>", **TOKEN},
            "unk_token": "<|endoftext|>",
            "pad_token": "[PAD]",
        }
    },
    "both": {
        "special_tokens_map.json": {"pad_token": "[PAD]", "additional_special_tokens": ["<|im_start|>"]},
        "added_tokens.json": {"[PAD]": 0, "<|im_start|>": 1, "<s>": 2},
    },
    "added_tokens_decoder": {
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "0": {"content": "[PAD]", "special": True, **TOKEN},
                "1": {"content": "<|im_end|>", "special": False, **TOKEN},
            },
            "pad_token": "[PAD]",
            "eos_token": "<|im_end|>",
        },
        "special_tokens_map.json": {"eos_token": "<s>"},
    },
    "pad_token": {"tokenizer_config.json": {"pad_token": "[PAD]"}},
    "a model-specific token": {"tokenizer_config.json": {"image_token": "<|im_start|>", "extra_special_tokens": ["<s>"]}},
    "add_prefix_space": {"tokenizer_config.json": {"add_prefix_space": True, "tokenizer_class": "GPT2Tokenizer"}},
    "add_bos_token": {"tokenizer_config.json": {"add_bos_token": True, "bos_token": "<s>"}},
    "both in front": {"tokenizer_config.json": {"add_bos_token": True, "add_prefix_space": True}},
}


def with_ids(files, size):
    """The ids of added tokens come behind those of the vocabulary."""
    files = json.loads(json.dumps(files))
    if "added_tokens.json" in files:
        files["added_tokens.json"] = {token: size + i for token, i in files["added_tokens.json"].items()}
    decoder = files.get("tokenizer_config.json", {}).get("added_tokens_decoder", {})
    for i in list(decoder):
        decoder[str(size + int(i))] = decoder.pop(i)
    return files


@pytest.mark.parametrize("name", COMPANIONS)
def test_vocab_and_merges_are_read_as_transformers_reads_them(small_bpe, tmp_path, name):
    size = len(json.loads((small_bpe / "vocab.json").read_text()))
    folder = tmp_path / "model"
    tokenizer = old_folder(small_bpe, folder, with_ids(COMPANIONS[name], size))
    for text in PROBES:
        assert our_ids(folder, text) == tokenizer(text).input_ids, text
    if name == "nothing":
        return
    # Fine-tuning keeps all of it.
    (tmp_path / "text.txt").write_text("a town was a town " * 100)
    gpt("train", tmp_path / "text.txt", "--init-from", folder, "-o", tmp_path / "tuned", "--max-iters", 2, "--quiet")
    tuned = AutoTokenizer.from_pretrained(tmp_path / "tuned")
    assert tuned.special_tokens_map == tokenizer.special_tokens_map
    assert len(tuned) == len(tokenizer)
    for text in PROBES:
        assert tuned(text).input_ids == tokenizer(text).input_ids == our_ids(tmp_path / "tuned", text), text


@pytest.mark.parametrize("tokenizer_class", ["GPT2Tokenizer", "GPT2TokenizerFast", "PreTrainedTokenizerFast", None])
@pytest.mark.parametrize("add", [True, False, None])
@pytest.mark.parametrize("in_json", [True, False])
def test_add_prefix_space_beside_tokenizer_json(small_bpe, tmp_path, tokenizer_class, add, in_json):
    old_folder(small_bpe, tmp_path / "model", {})
    theirs = GPT2Tokenizer.from_pretrained(tmp_path / "model", add_prefix_space=in_json)
    theirs.backend_tokenizer.save(str(tmp_path / "model/tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / "model" / name).unlink()
    config = {"tokenizer_class": tokenizer_class, "add_prefix_space": add, "add_bos_token": True}
    (tmp_path / "model/tokenizer_config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    for text in ("town<|endoftext|>a", " town"):
        assert our_ids(tmp_path / "model", text) == tokenizer(text).input_ids


def test_a_token_without_a_row_is_refused(small_bpe, tmp_path):
    size = len(json.loads((small_bpe / "vocab.json").read_text()))
    old_folder(small_bpe, tmp_path / "model", {"tokenizer_config.json": {"pad_token": "[PAD]"}}, rows=size)
    with pytest.raises(AssertionError, match=r"\[PAD\]"):
        gpt("sample", "-m", tmp_path / "model", "-n", "4")


# Where generation starts and ends

ENDS = {
    "generation_config.json": ({"eos_token_id": 66}, {"eos_token_id": 67}, 66),
    "a list": ({"eos_token_id": [70, 66]}, {"eos_token_id": 67}, [70, 66]),
    "config.json": (None, {"eos_token_id": [66, 67]}, [66, 67]),
    "null": ({"eos_token_id": None}, {"eos_token_id": None}, None),
}


@pytest.mark.parametrize("name", ENDS)
def test_generation_starts_and_ends_where_generate_does(small_bpe, tmp_path, name):
    """Greedy text of a model that is made to write 65, 66, 67, …"""
    generation, config, end = ENDS[name]
    folder = tmp_path / "model"
    old_folder(small_bpe, folder, {})
    counts_up(folder)
    edited = json.loads((folder / "config.json").read_text()) | {"bos_token_id": 64} | config
    (folder / "config.json").write_text(json.dumps(edited))
    (folder / "generation_config.json").unlink()
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps({"bos_token_id": 64} | generation))
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert theirs.generation_config.eos_token_id == end
    out = theirs.generate(max_new_tokens=8, do_sample=False, pad_token_id=0)[0].tolist()
    written = out[1:]
    ends = [end] if isinstance(end, int) else end or []
    if written[-1] in ends:
        written = written[:-1]
    (line,) = gpt("sample", "-m", folder, "--greedy", "-n", "8", "--json").decode().splitlines()
    ours = json.loads(line)
    assert ours["prompt_ids"] == [64]
    assert [token["id"] for token in ours["tokens"]] == written
    assert ours["finish_reason"] == ("stop" if ends else "length")
    (line,) = gpt("sample", "-m", folder, "--greedy", "-n", "8", "--json", "--ignore-eos").decode().splitlines()
    assert len(json.loads(line)["tokens"]) == 8


def counts_up(folder):
    """Weights that write 65, 66, 67, …: blocks that do nothing, and an embedding of positions that points at these tokens."""
    model = GPT2LMHeadModel.from_pretrained(folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".h." in name and "ln_" not in name:
                parameter.zero_()
        V, T, C = model.config.vocab_size, model.config.n_positions, model.config.n_embd
        # Opposite numbers, so that LayerNorm has no mean to take off.
        circle = lambda angle: torch.stack([angle.cos(), -angle.cos(), angle.sin(), -angle.sin()], dim=1)
        rows = torch.zeros(V, C)
        rows[:, :4] = circle(torch.arange(V) * 2 * torch.pi / V)
        model.transformer.wte.weight.copy_(rows)
        rows = torch.zeros(T, C)
        rows[:, :4] = 1e4 * circle((torch.arange(T) + 65) * 2 * torch.pi / V)
        model.transformer.wpe.weight.copy_(rows)
        model.transformer.ln_f.bias.zero_()
    model.save_pretrained(folder)

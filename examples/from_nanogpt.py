"""Converts a nanoGPT checkpoint into a Hugging Face model folder, which `gpt` and `transformers` load.

    python from_nanogpt.py out-shakespeare-char/ckpt.pt data/shakespeare_char/meta.pkl FOLDER   # characters
    python from_nanogpt.py out/ckpt.pt GPT2_FOLDER FOLDER                                       # GPT-2's BPE

The second argument says what the token ids mean: nanoGPT's meta.pkl, or a folder with GPT-2's tokenizer.json. Needs torch
and transformers. Neither file can run code here: both are unpickled as plain data.
"""

import json
import pathlib
import pickle
import shutil
import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def read_model(path):
    """The checkpoint's model as a GPT2LMHeadModel."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if not {"model", "model_args"} <= checkpoint.keys():
        raise SystemExit(f"{path} is not a nanoGPT checkpoint: it has no model and model_args")
    shape, weights = checkpoint["model_args"], {}
    for name, tensor in checkpoint["model"].items():
        name = name.removeprefix("_orig_mod.")  # left by torch.compile
        if name.endswith(".attn.bias"):
            continue  # the causal mask of old versions
        # nanoGPT's nn.Linear stores [out, in], GPT-2's Conv1D [in, out]
        is_linear = name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))
        weights[name] = tensor.t().contiguous() if is_linear else tensor
    head = weights.get("lm_head.weight")
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape["vocab_size"],
            n_positions=shape["block_size"],
            n_embd=shape["n_embd"],
            n_layer=shape["n_layer"],
            n_head=shape["n_head"],
            activation_function="gelu",  # nanoGPT's nn.GELU() is the exact one
            resid_pdrop=shape.get("dropout", 0.0),
            embd_pdrop=shape.get("dropout", 0.0),
            attn_pdrop=shape.get("dropout", 0.0),
            tie_word_embeddings=head is None or torch.equal(head, weights["transformer.wte.weight"]),
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or any(not name.endswith(".bias") and name != "lm_head.weight" for name in missing):
        raise SystemExit(f"{path} is not a nanoGPT checkpoint: missing {missing}, unexpected {unexpected}")
    for name, parameter in model.named_parameters():
        if name in missing and name.endswith(".bias"):
            torch.nn.init.zeros_(parameter)  # trained with bias=False
    return model


class PlainData(pickle.Unpickler):
    def find_class(self, module, name):
        raise SystemExit(f"meta.pkl refers to {module}.{name}; nanoGPT's holds plain data only")


def write_char_tokenizer(meta, folder):
    """tokenizer.json for nanoGPT's `itos`, one token a character. It has no token for unknown characters."""
    with meta.open("rb") as file:
        vocabulary = PlainData(file).load()["itos"]
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {text: id for id, text in vocabulary.items()}, "unk_token": "<unk>"},
    }
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def main(checkpoint, vocabulary, folder):
    for path in (checkpoint, vocabulary):
        if not pathlib.Path(path).exists():
            raise SystemExit(f"{path}: no such file or folder")
    vocabulary, folder = pathlib.Path(vocabulary), pathlib.Path(folder)
    read_model(checkpoint).save_pretrained(folder)
    if vocabulary.is_dir():
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (vocabulary / name).exists():
                shutil.copy(vocabulary / name, folder)
    else:
        write_char_tokenizer(vocabulary, folder)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])

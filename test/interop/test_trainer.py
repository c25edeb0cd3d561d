"""Hugging Face's Trainer continues a model of ours, and we continue, sample and measure what it saved."""

import json

import torch
from conftest import TEXT, TINY, gpt, our_logits
from test_models import check_logits
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

STEPS = 3


def trainer_of(model, output, steps):
    """A Trainer that continues a model of ours."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    theirs = AutoModelForCausalLM.from_pretrained(model)
    T = context_of(theirs)
    ids = torch.tensor(tokenizer(TEXT).input_ids)
    windows = ids[: len(ids) // T * T].view(-1, T)
    return Trainer(
        model=theirs,
        args=TrainingArguments(
            output_dir=output, max_steps=steps, save_steps=steps, per_device_train_batch_size=4,
            learning_rate=1e-3, use_cpu=True, report_to=[], disable_tqdm=True,
        ),
        train_dataset=[{"input_ids": window, "labels": window} for window in windows],
        data_collator=default_data_collator,
        processing_class=tokenizer,
    )


def context_of(model):
    """`n_positions` of GPT-2 is `max_position_embeddings` elsewhere."""
    return model.config.max_position_embeddings


def train_there(model, output):
    trainer = trainer_of(model, output, 30)
    trainer.train()
    trainer.save_model(output)
    return output


def test_model_trained_by_trainer_comes_back(model, corpus, tmp_path):
    output = tmp_path / "output"
    trainer = trainer_of(model, output, STEPS)
    theirs, ids = trainer.model, trainer.processing_class(TEXT).input_ids
    trainer.train()

    # Before save_model(), the model is in the Trainer's checkpoint; the output folder stands for it.
    checkpoint = output / f"checkpoint-{STEPS}"
    assert (checkpoint / "trainer_state.json").exists() and not (output / "config.json").exists()
    check_logits(checkpoint, theirs)
    assert our_logits(output, [1, 2, 3]) == our_logits(checkpoint, [1, 2, 3])
    assert our_logits(output, [1, 2, 3]) != our_logits(model, [1, 2, 3])

    trainer.save_model(output)
    assert gpt("sample", "-m", output, "--prompt", "Call me", "--max-tokens", "5", "--quiet")
    assert json.loads(gpt("eval", corpus, "-m", output, "--json"))["tokens"] == len(ids)
    shape = {"--n-layer", "--n-head", "--n-embd", "--block-size"}
    flags = [word for i, word in enumerate(TINY) if word not in shape and TINY[i - 1] not in shape]
    tuned = tmp_path / "tuned"
    gpt("train", corpus, "--init-from", output, "-o", tuned, *flags)
    check_logits(tuned)

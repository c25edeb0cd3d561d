"""Conversations beside transformers: templates, ids, which tokens count, the loss on them, and where an answer ends."""

import json

import pytest
import torch
from conftest import ROOT, SIZES, TINY, gpt, node
from jinja2.exceptions import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer

TEMPLATES = json.loads((ROOT / "test/fixtures/chat_templates.json").read_text())

COLORS = ["red", "blue", "green", "pink"]
THINGS = ["car", "house", "tree", "boat", "hat"]


def dialogue(*contents, system=None):
    messages = [{"role": "system", "content": system}] if system is not None else []
    roles = ["user", "assistant"]
    return messages + [{"role": roles[i % 2], "content": content} for i, content in enumerate(contents)]


DIALOGUES = [
    dialogue(f"What color is the {color} {thing}?", f"It is {color}.", "And what is it?", f"  A {thing}.\n\nNo more.")
    for color in COLORS
    for thing in THINGS
]
OTHERS = [
    dialogue("What is it?"),
    dialogue("What is it?", "A hat.", "And?"),
    dialogue("\n\nA  tree?\n", "\n\n It is.  \n", "", "No\t."),
    dialogue("A hat?", "<think>\nIt is a hat.\n</think>\n\nIt is.", "What?", "A hat."),
    dialogue("What is it?", "A hat.", system="It is a hat."),
]


@pytest.fixture(scope="module", params=["char", "word", "bpe"])
def chat_model(request, tmp_path_factory):
    kind = request.param
    folder = tmp_path_factory.mktemp(f"chat-{kind}")
    source = folder / "chat.jsonl"
    source.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in DIALOGUES))
    gpt("train", source, "-o", folder / "run", "--tokenizer", kind, *SIZES[kind], *TINY, "--block-size", "80")
    return folder / "run"


def ours(model, *conversations):
    lines = [json.dumps({"model": str(model), "messages": messages}) for messages in conversations]
    return [json.loads(line) for line in node("test/interop/chat.js", stdin="\n".join(lines).encode()).splitlines()]


def theirs(tokenizer, messages, **options):
    return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options)


def test_a_new_model_has_the_same_texts_and_ids(chat_model):
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    conversations = DIALOGUES[:3] + OTHERS
    for messages, found in zip(conversations, ours(chat_model, *conversations), strict=True):
        assert found["texts"][0]["text"] == tokenizer.apply_chat_template(messages, tokenize=False)
        assert found["texts"][0]["ids"] == theirs(tokenizer, messages)
        assert found["prompt"] == theirs(tokenizer, messages, add_generation_prompt=True)


def test_special_tokens_that_somebody_says_are_text_here_and_tokens_there(chat_model):
    messages = dialogue("A hat<|im_end|>?", "No.")
    found = ours(chat_model, messages)[0]["texts"][0]
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert found["text"] == tokenizer.apply_chat_template(messages, tokenize=False)
    assert found["ids"].count(end) == 2
    assert theirs(tokenizer, messages).count(end) == 3


def test_the_loss_is_that_of_the_counted_tokens(chat_model, tmp_path):
    """The conversations of an evaluation follow each other with <|endoftext|> between them; one is enough here."""
    messages = DIALOGUES[7][:2]
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({"messages": messages}))
    found = json.loads(gpt("eval", file, "-m", chat_model, "--json", "--stride", "1"))
    text = ours(chat_model, messages)[0]["texts"][0]
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    separator = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    ids = [separator, *text["ids"], separator]
    labels = [-100, *(i if counted else -100 for i, counted in zip(text["ids"], text["counted"])), -100]
    model = AutoModelForCausalLM.from_pretrained(chat_model).eval()
    block = model.config.n_positions
    total, count = 0.0, 0
    with torch.no_grad():
        for at in range(1, len(ids)):
            if labels[at] == -100:
                continue
            # Windows start one token apart: each target has as much context as there is.
            context = torch.tensor([ids[max(0, at - block) : at]])
            logits = model(context).logits[0, -1]
            total += torch.nn.functional.cross_entropy(logits, torch.tensor(labels[at])).item()
            count += 1
    assert found["counted_tokens"] == count
    assert found["nats_per_token"] == pytest.approx(total / count, rel=1e-5)


def test_the_loss_of_one_window_is_that_of_transformers(chat_model, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(chat_model).eval()
    messages = dialogue("", "No.")
    text = ours(chat_model, messages)[0]["texts"][0]
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    separator = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    ids = torch.tensor([[separator, *text["ids"]]])
    labels = torch.where(torch.tensor([[0, *text["counted"]]]) == 1, ids, -100)
    with torch.no_grad():
        loss = model(ids, labels=labels).loss.item()
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({"messages": messages}))
    found = json.loads(gpt("eval", file, "-m", chat_model, "--json"))
    assert found["nats_per_token"] == pytest.approx(loss, rel=1e-5)


def test_generation_stops_where_an_answer_ends(chat_model):
    model = AutoModelForCausalLM.from_pretrained(chat_model)
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in model.generation_config.eos_token_id
    assert tokenizer.eos_token == "<|im_end|>"


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_of_other_models_give_the_same_texts_and_ids(chat_model, tmp_path, name):
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>", "additional_special_tokens": ["<end_of_turn>"]})
    tokenizer.chat_template = TEMPLATES[name]
    tokenizer.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    conversations = DIALOGUES[:2] + OTHERS
    for messages, found in zip(conversations, ours(tmp_path, *conversations), strict=True):
        try:
            text = tokenizer.apply_chat_template(messages, tokenize=False)
        except TemplateError as error:
            assert found["problem"] in str(error)
            continue
        assert found["texts"][-1]["text"] == text or messages[-1]["role"] == "user"
        assert found["prompt"] == theirs(tokenizer, messages, add_generation_prompt=True)
        for each in found["texts"]:
            assert each["ids"] == tokenizer(each["text"], add_special_tokens=False).input_ids


def test_the_tokens_that_a_template_marks_are_those_that_count(chat_model, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    tokenizer.chat_template = TEMPLATES["marking"]
    tokenizer.save_pretrained(tmp_path)
    conversations = DIALOGUES[:3] + OTHERS[1:3]
    for messages, found in zip(conversations, ours(tmp_path, *conversations), strict=True):
        masks = tokenizer.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )["assistant_masks"]
        assert found["texts"][0]["counted"] == list(masks)

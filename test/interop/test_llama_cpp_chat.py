"""A model of conversations, exported: the template in its GGUF file makes the prompts of `gpt chat`, and its answers are the same."""

import json

import pytest
from conftest import SIZES, gpt, run_llama_cpp
from test_chat import DIALOGUES, OTHERS, ours

TRAINING = "--n-layer 2 --n-head 2 --n-embd 32 --block-size 192 --batch-size 8 --max-iters 150 --warmup-iters 5 --learning-rate 5e-3 --quiet"
QUESTIONS = ["What color is the red car?", "And what is it?"]
MODELS = [("gpt2", "char"), ("llama", "word"), ("qwen3", "bpe")]


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def chat_model(request, tmp_path_factory):
    arch, kind = request.param
    folder = tmp_path_factory.mktemp(kind)
    source = folder / "chat.jsonl"
    source.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in DIALOGUES))
    gpt("train", source, "-o", folder / "run", "--arch", arch, "--tokenizer", kind, *SIZES[kind], *TRAINING.split())
    return folder / "run"


def test_llama_cpp_renders_the_same_prompts_and_answers_alike(llama_cpp, chat_model):
    file = chat_model.with_suffix(".gguf")
    gpt("export", chat_model, "--dtype", "f32", "-o", file, "--quiet")
    lines = "".join(f"{question}\n" for question in QUESTIONS).encode()
    printed = gpt("chat", chat_model, "--greedy", "-n", 60, "--json", stdin=lines).decode()
    answers = [json.loads(line) for line in printed.splitlines()]
    conversations, messages = [], []
    for question, each in zip(QUESTIONS, answers, strict=True):
        messages = [*messages, {"role": "user", "content": question}]
        conversations.append(messages)
        messages = [*messages, {"role": "assistant", "content": each["assistant"]}]
    assert len(set(each["assistant"] for each in answers)) == len(QUESTIONS)
    has_unknown = chat_model.parent.name.startswith("word")  # which llama.cpp spells with the words that occur in it
    known = [messages for messages in OTHERS if messages[-1]["role"] == "user" and not has_unknown]
    tasks = [{"file": str(file), "messages": each, "count": 60} for each in [*conversations, *known]]
    found = run_llama_cpp(llama_cpp, tasks)
    for theirs, here in zip(found, ours(chat_model, *conversations, *known), strict=True):
        assert theirs["ids"] == here["prompt"]
    assert [each["text"] for each in found[: len(answers)]] == [each["assistant"] for each in answers]

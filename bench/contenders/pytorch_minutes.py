"""Trains a GPT-2 by characters for a number of minutes, counted from the start of the process.

    python pytorch_minutes.py TEXT --minutes 3 --seed 1 [--target 1.88] [shape and recipe]

The time covers imports, the choice of the number of threads and every training step; the clock is stopped during
evaluations. The learning rate follows the share of the time that has passed. Prints lines of JSON: an evaluation of the whole
validation split each { seconds, step, loss }, and a last one { steps, threads, version, loss, bits_per_byte, … }, whose loss is
the lowest of them, since nanoGPT keeps that checkpoint.
"""

import argparse
import json
import math
import os
import time

# The interpreter's start-up before this line counts towards the time.
STARTED = time.monotonic() - time.process_time()

import torch  # noqa: E402
from gpt_model import GPT, adamw  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("text")
parser.add_argument("--minutes", type=float, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--target", type=float, help="print when the loss first reaches this, in nats per character")
for name, default in dict(layers=4, heads=4, channels=128, block=64, batch=12, warmup=100).items():
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--dropout", type=float, default=0.0)
parser.add_argument("--bias", action="store_true")
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--min-lr", type=float, default=1e-4)
parser.add_argument("--weight-decay", type=float, default=0.1)
parser.add_argument("--schedule", choices=["cosine", "wsd"], default="cosine")
parser.add_argument("--decay-share", type=float, default=0.25, help="of the time, with wsd")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--threads", type=int, default=0, help="0: the faster of one thread and one per core")
parser.add_argument("--evaluations", type=int, default=50)
a = parser.parse_args()

# The same split as in `gpt train`: by characters, with at most 500,000 of them held out.
text = open(a.text, encoding="utf-8", newline="").read()
characters = sorted(set(text))
index = {character: i for i, character in enumerate(characters)}
ids = torch.tensor([index[character] for character in text])
cut = int(len(ids) * (1 - min(0.1, 500_000 / len(ids))))
train, validation = ids[:cut], ids[cut:]

torch.manual_seed(a.seed)
model = GPT(len(characters), a.block, a.layers, a.heads, a.channels, a.bias, a.dropout)
optimizer = adamw(model, a.learning_rate, a.weight_decay)
forward = torch.compile(model) if a.compile else model

paused = 0.0
total = 60 * a.minutes


def elapsed():
    return time.monotonic() - STARTED - paused


def learning_rate(step):
    progress = min(1.0, elapsed() / total)
    if step < a.warmup:
        return a.learning_rate * (step + 1) / a.warmup
    if a.schedule == "cosine":
        share = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        share = min(1.0, (1 - progress) / a.decay_share)
    return a.min_lr + share * (a.learning_rate - a.min_lr)


def train_step(step):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    at = torch.randint(len(train) - a.block, (a.batch,))
    inputs = torch.stack([train[i : i + a.block] for i in at])
    targets = torch.stack([train[i + 1 : i + 1 + a.block] for i in at])
    loss = forward(inputs, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


@torch.no_grad()
def validation_loss():
    """Mean loss over all characters but the first, in adjacent windows, as in `gpt eval`. The clock is stopped meanwhile."""
    global paused
    start = time.monotonic()
    model.eval()
    windows = math.ceil((len(validation) - 1) / a.block)
    inputs = torch.zeros(windows * a.block, dtype=torch.long)
    targets = torch.full((windows * a.block,), -1)
    inputs[: len(validation) - 1], targets[: len(validation) - 1] = validation[:-1], validation[1:]
    nats = 0.0
    for x, y in zip(inputs.view(windows, -1).split(64), targets.view(windows, -1).split(64)):
        nats += model(x, y, reduction="sum").item()
    model.train()
    paused += time.monotonic() - start
    return nats / (len(validation) - 1)


def train_until(seconds, step):
    """Trains until the clock shows `seconds`, at least one step; returns the next step."""
    train_step(step)
    step += 1
    while elapsed() < seconds:
        train_step(step)
        step += 1
    return step


def choose_threads(step):
    """Trains with one thread and with one per core, for 1 % of the time each, and keeps the faster."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rates = {}
    for threads in {1, cores}:
        torch.set_num_threads(threads)
        first = train_until(0, step)  # warm-up, not timed: starts threads, allocates memory
        start = elapsed()
        step = train_until(start + 0.01 * total, first)
        rates[threads] = (step - first) / (elapsed() - start)
    torch.set_num_threads(max(rates, key=rates.get))
    return step


step = 0
if a.threads:
    torch.set_num_threads(a.threads)
else:
    step = choose_threads(step)
best, reached = math.inf, None
for i in range(a.evaluations):
    step = train_until(total * (i + 1) / a.evaluations, step)
    loss = validation_loss()
    best = min(best, loss)
    if reached is None and a.target is not None and loss <= a.target:
        reached = elapsed()
    print(json.dumps({"seconds": elapsed(), "step": step, "loss": loss}), flush=True)

predicted = "".join(characters[i] for i in validation[1:].tolist())
bits = best * (len(validation) - 1) / math.log(2)
print(
    json.dumps(
        {
            "loss": best,
            "bits_per_byte": bits / len(predicted.encode()),
            "steps": step,
            "seconds": elapsed(),
            "reached": reached,
            "parameters": sum(p.numel() for p in model.parameters()),
            "threads": torch.get_num_threads(),
            "version": torch.__version__,
        }
    )
)

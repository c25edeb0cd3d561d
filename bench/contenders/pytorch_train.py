"""Training speed of a plain PyTorch GPT of the same architecture: scaled_dot_product_attention, fused AdamW.

A contender, see bench/common.js. Unless --threads is given, it tries each thread count up to the number of cores before it is
ready, and keeps the fastest.
"""

import argparse
import json
import os
import resource
import sys
import time

import torch
from gpt_model import GPT, adamw

parser = argparse.ArgumentParser()
for name in ("vocab", "block", "layers", "heads", "channels", "batch"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--compile", action="store_true")
parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
parser.add_argument("--threads", type=int)
parser.add_argument("--warmup", type=int, default=5)
a = parser.parse_args()

torch.manual_seed(1)
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
model = GPT(a.vocab, a.block, a.layers, a.heads, a.channels).to(a.device)
optimizer = adamw(model, 1e-3)
forward = torch.compile(model) if a.compile else model
data = torch.randint(0, a.vocab, (1_000_000,), device=a.device)


def step():
    at = torch.randint(len(data) - a.block - 1, (a.batch,))
    ids = torch.stack([data[i : i + a.block] for i in at])
    targets = torch.stack([data[i + 1 : i + 1 + a.block] for i in at])
    loss = forward(ids, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


def seconds_for(steps):
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    loss.item()
    return time.perf_counter() - start


def best_threads():
    """The fastest of 1, 2, 4, … and all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counts = sorted({2**i for i in range(cores.bit_length()) if 2**i <= cores} | {cores})
    took = {}
    for threads in counts:
        torch.set_num_threads(threads)
        once = seconds_for(a.warmup) / a.warmup
        took[threads] = min(seconds_for(max(1, int(0.3 / once))) / max(1, int(0.3 / once)) for _ in range(3))
    return min(took, key=took.get)


threads = a.threads or (best_threads() if a.device == "cpu" else torch.get_num_threads())
torch.set_num_threads(threads)
seconds_for(a.warmup)
print(json.dumps({"ready": {"version": torch.__version__, "threads": threads}}), flush=True)
for line in sys.stdin:
    seconds = seconds_for(int(line))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peakBytes": peak}), flush=True)

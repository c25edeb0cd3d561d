"""Sampling speed of Hugging Face transformers: GPT2LMHeadModel.generate with its key-value cache, one stream, drawing from
the whole distribution.

A contender, see bench/common.js. Before it is ready, it tries each thread count up to the machine's and keeps the fastest.
"""

import argparse
import json
import os
import resource
import sys
import time

import torch
import transformers

parser = argparse.ArgumentParser()
for name in ("vocab", "block", "layers", "heads", "channels", "tokens"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--dtype", default="float32")
a = parser.parse_args()

torch.manual_seed(1)
config = transformers.GPT2Config(
    vocab_size=a.vocab,
    n_positions=a.block,
    n_layer=a.layers,
    n_head=a.heads,
    n_embd=a.channels,
    bos_token_id=None,
    eos_token_id=None,
)
model = transformers.GPT2LMHeadModel(config).eval().to(getattr(torch, a.dtype))
prompt = torch.zeros((1, 1), dtype=torch.long)


@torch.inference_mode()
def seconds_for(tokens):
    start = time.perf_counter()
    ids = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        use_cache=True,
        pad_token_id=0,
    )
    assert ids.shape[1] == tokens + 1
    return time.perf_counter() - start


def best_threads():
    """The fastest of 1, 2, 4, … and all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counts = sorted({2**i for i in range(cores.bit_length()) if 2**i <= cores} | {cores})
    took = {}
    for threads in counts:
        torch.set_num_threads(threads)
        seconds_for(16)
        took[threads] = min(seconds_for(32) for _ in range(3))
    return min(took, key=took.get)


threads = best_threads()
torch.set_num_threads(threads)
print(json.dumps({"ready": {"version": transformers.__version__, "threads": threads}}), flush=True)
for line in sys.stdin:
    seconds = sum(seconds_for(a.tokens) for _ in range(int(line)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peakBytes": peak}), flush=True)

"""Tokenizing speed of Hugging Face tokenizers with a tokenizer.json of ours: the text goes through encode_batch in pieces, on
all cores, and its ids are only counted, as making Python lists of them would take longer still.

A contender, see bench/common.js. Before it is ready, it tries pieces of several lengths and keeps the fastest.
"""

import argparse
import hashlib
import json
import os
import resource
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "true"
import tokenizers

parser = argparse.ArgumentParser()
parser.add_argument("--file", required=True)
parser.add_argument("--tokenizer", required=True)
a = parser.parse_args()

tokenizer = tokenizers.Tokenizer.from_file(a.tokenizer)
cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def encode(length, limit=None):
    """Reads and encodes the file, or its start; returns seconds, characters and tokens."""
    start = time.perf_counter()
    characters = tokens = 0
    with open(a.file, encoding="utf-8", newline="") as file:
        while limit is None or characters < limit:
            pieces = [piece for piece in (file.read(length) for _ in range(4 * cores)) if piece]
            if not pieces:
                break
            characters += sum(map(len, pieces))
            tokens += sum(map(len, tokenizer.encode_batch_fast(pieces, add_special_tokens=False)))
    return time.perf_counter() - start, characters, tokens


def rate(length):
    seconds, characters, _ = encode(length, limit=4_000_000)
    return characters / seconds


encode(10_000, limit=1_000_000)
best = max((1_000, 10_000, 100_000), key=rate)
with open(a.file, encoding="utf-8", newline="") as file:
    ids = tokenizer.encode(file.read(100_000)).ids
digest = hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()
print(json.dumps({"ready": {"version": tokenizers.__version__, "piece": best, "hash": digest}}), flush=True)
for line in sys.stdin:
    seconds, _, tokens = encode(best)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "tokens": tokens, "peakBytes": peak}), flush=True)

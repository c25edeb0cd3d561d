"""Training speed of PEFT's adapters on every linear layer of a Llama with random weights: fused AdamW on the adapters alone.

A contender, see bench/common.js. It tries 1, 2, 4, … and all cores before it is ready, and keeps the fastest.
"""

import argparse
import json
import os
import resource
import sys
import time

import peft
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

parser = argparse.ArgumentParser()
for name in ("vocab", "block", "layers", "heads", "kv", "channels", "inner", "batch", "rank"):
    parser.add_argument(f"--{name}", type=int, required=True)
a = parser.parse_args()

torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=a.vocab,
    max_position_embeddings=a.block,
    num_hidden_layers=a.layers,
    num_attention_heads=a.heads,
    num_key_value_heads=a.kv,
    hidden_size=a.channels,
    intermediate_size=a.inner,
    tie_word_embeddings=True,
    use_cache=False,
)
lora = LoraConfig(r=a.rank, lora_alpha=2 * a.rank, target_modules="all-linear", task_type="CAUSAL_LM")
model = get_peft_model(LlamaForCausalLM(config), lora)
trained = [x for x in model.parameters() if x.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.01, fused=True)
data = torch.randint(0, a.vocab, (1_000_000,))


def step():
    at = torch.randint(len(data) - a.block, (a.batch,))
    ids = torch.stack([data[i : i + a.block] for i in at])
    loss = model(input_ids=ids, labels=ids).loss
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    return loss


def seconds_for(steps):
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    loss.item()
    return time.perf_counter() - start


cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
took = {}
for threads in sorted({2**i for i in range(cores.bit_length()) if 2**i <= cores} | {cores}):
    torch.set_num_threads(threads)
    seconds_for(1)
    took[threads] = min(seconds_for(1) for _ in range(2))
threads = min(took, key=took.get)
torch.set_num_threads(threads)
print(json.dumps({"ready": {"version": peft.__version__, "torch": torch.__version__, "threads": threads}}), flush=True)

unit = 1 if sys.platform == "darwin" else 1024
for line in sys.stdin:
    seconds = seconds_for(int(line))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps({"seconds": seconds, "peakBytes": peak}), flush=True)

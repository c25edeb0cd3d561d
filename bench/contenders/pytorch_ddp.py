"""Data-parallel training in PyTorch: DistributedDataParallel on Gloo, a process and a thread per rank, same model as pytorch_train.py.

A contender, see bench/common.js. This process is rank 0 and starts the others.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import torch
import torch.distributed as dist
from gpt_model import GPT, adamw
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
for name in ("vocab", "block", "layers", "heads", "channels", "batch", "ranks"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--rank", type=int, default=0)
parser.add_argument("--meeting")
parser.add_argument("--warmup", type=int, default=3)
a = parser.parse_args()

if a.rank == 0:
    a.meeting = os.path.join(tempfile.mkdtemp(), "meeting")
    for rank in range(1, a.ranks):
        flags = [*sys.argv[1:], "--rank", str(rank), "--meeting", a.meeting]
        subprocess.Popen([sys.executable, __file__, *flags], stdin=subprocess.DEVNULL)

torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{a.meeting}", rank=a.rank, world_size=a.ranks)
torch.manual_seed(1)
model = GPT(a.vocab, a.block, a.layers, a.heads, a.channels)
optimizer = adamw(model, 1e-3)
parallel = DistributedDataParallel(model)
data = torch.randint(0, a.vocab, (1_000_000,))
batch = a.batch // a.ranks


def step():
    at = torch.randint(len(data) - a.block - 1, (batch,))
    ids = torch.stack([data[i : i + a.block] for i in at])
    targets = torch.stack([data[i + 1 : i + 1 + a.block] for i in at])
    loss = parallel(ids, targets)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def seconds_for(steps):
    dist.broadcast(count := torch.tensor([steps]), 0)
    start = time.perf_counter()
    for _ in range(int(count)):
        step()
    return time.perf_counter() - start


if a.rank > 0:
    while True:
        dist.broadcast(count := torch.tensor([0]), 0)
        if count < 0:
            break
        for _ in range(int(count)):
            step()
else:
    seconds_for(a.warmup)
    print(json.dumps({"ready": {"version": torch.__version__, "ranks": a.ranks}}), flush=True)
    for line in sys.stdin:
        seconds = seconds_for(int(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peakBytes": peak}), flush=True)
    dist.broadcast(torch.tensor([-1]), 0)

"""Compares torch's step on a CPU, with dense gradients, with and without zero channels.

Both are fp32 in channels_last, forward and backward at batch 128 on images of 32×32, of the same
masked network; they take turns in one process, and CPU time is compared. Prints the ratio.

    python benchmarks/live_convolutions.py [--model ResNet34] [--sparsity 0.9999]
                                           [--masks worst|erk|connected|connected_epl]
                                           [--threads 1] [--repeats 3]
"""

import argparse
import statistics
import time
from contextlib import nullcontext

import torch
from native import BATCH, IMAGE, MASKS, masked
from timing import machine
from torch import nn

from dstbench.models.live_convolutions import LiveConvolutions


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--model", default="ResNet34")
    options.add_argument("--sparsity", type=float, default=0.9999)
    options.add_argument("--masks", choices=("worst", *MASKS), default="connected")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=3)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    model, _ = masked(args.model, args.sparsity, args.masks)
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, *IMAGE).contiguous(memory_format=torch.channels_last)
    y = torch.randint(10, (BATCH,))

    def step(live: bool) -> float:
        model.zero_grad()
        start = time.process_time()
        with LiveConvolutions() if live else nullcontext():
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return time.process_time() - start

    step(True)
    times = [(step(True), step(False)) for _ in range(args.repeats)]
    live, dense = (statistics.median(side) for side in zip(*times, strict=True))
    print(f"{args.model} {args.sparsity:.2%} {args.masks}")
    print(f"  without zero channels {live:.2f} s CPU, with them {dense:.2f} s: {dense / live:.1f}×")


if __name__ == "__main__":
    main()

"""Measures SynFlow's 100 rounds on ResNet-34 at 99.95 %.

Prints the time and its ratio to the goal: at most 30 s on two cores.

    python benchmarks/synflow.py [--model ResNet34] [--sparsity 0.9995]
"""

import argparse
import time

import torch
from timing import machine

from dstbench.core.state import State
from dstbench.methods.synflow import SynFlow
from dstbench.models import resnet

GOAL = 30.0  # seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="ResNet34")
    options.add_argument("--sparsity", type=float, default=0.9995)
    args = options.parse_args()
    print(machine())
    torch.manual_seed(0)
    model = getattr(resnet, args.model)(num_classes=10).to(memory_format=torch.channels_last)
    state = State(model, (3, 32, 32), seed=0, total_steps=1000)
    began = time.perf_counter()
    SynFlow(args.sparsity).init_masks(state)
    seconds = time.perf_counter() - began
    empty = sum(state.masks.live(name) == 0 for name in state.masks)
    print(
        f"{args.model} at {args.sparsity}: 100 rounds in {seconds:.1f} s, "
        f"{seconds / GOAL:.2f} of the goal, {GOAL:.0f} s; "
        f"{state.masks.total()} live weights, {empty} of {len(state.masks)} tensors empty"
    )


if __name__ == "__main__":
    main()

"""Compares a step of both engines, fp32 and ERK masks, for narrow and wide networks.

A step is forward pass, backward pass and SGD on images of 32×32; the engines take turns in one
process, and CPU time is compared. Prints, for each network, the fraction of MACs on live weights,
the limit below which `--engine auto` takes the native engine, and the ratio of the times.

    python benchmarks/engine_limits.py [--threads 1] [--repeats 3] [MODEL:WIDTH:SPARSITY ...]
"""

import argparse
import time

import torch
from native import BATCH, IMAGE, native_step
from timing import interleaved, machine, training_step

from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.models import resnet
from dstbench.models.live_convolutions import forward_context
from dstbench.native.network import NativeNetwork
from dstbench.optim.settings import SGD
from dstbench.training.engines.expected_speed import live_macs

NETWORKS = (
    *("SmallResNet34:8:0.9", "SmallResNet34:8:0.7", "SmallResNet34:16:0.9", "SmallResNet34:16:0.8"),
    *("SmallResNet34:32:0.95", "SmallResNet34:32:0.9", "ResNet20:16:0.9", "ResNet20:16:0.8"),
    *("ResNet20:32:0.95", "ResNet20:32:0.9", "ResNet34:64:0.98", "ResNet34:64:0.97"),
)


def masked(name: str, width: int, sparsity: float) -> State:
    """Return the state of a network with ERK masks, in training mode."""
    torch.manual_seed(0)
    model = getattr(resnet, name)(10, width=width)
    state = State(model.train(), IMAGE, seed=0, total_steps=1000)
    ERK(sparsity).init_masks(state)
    return state


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("networks", nargs="*", default=NETWORKS, metavar="MODEL:WIDTH:SPARSITY")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=3)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    x, y = torch.randn(BATCH, *IMAGE), torch.randint(10, (BATCH,))
    rows = x.contiguous(memory_format=torch.channels_last)
    for text in args.networks:
        name, width, sparsity = text.split(":")
        given = name, int(width), float(sparsity)
        own, other = masked(*given), masked(*given)
        native = NativeNetwork(own.model, own.masks, IMAGE, args.threads)
        other.model.to(memory_format=torch.channels_last)
        optimizer = SGD().build(other.model, other.masks)
        context = forward_context("fp32", torch.device("cpu"))
        seconds = interleaved(
            args.repeats,
            time.process_time,
            native=native_step(native, x, y),
            torch=training_step(other.model, optimizer, context, rows, y),
        )
        ours, theirs = seconds["native"], seconds["torch"]
        macs = live_macs(own, BATCH)
        print(
            f"{text}: {macs.fraction:.1%} of the MACs, limit {macs.limit:.1%}; native "
            f"{ours * 1e3:.0f} ms, torch {theirs * 1e3:.0f} ms: {theirs / ours:.2f}×",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Compares the default training step with eager fp32, at batch 128 on images of 32×32.

A step is forward pass, backward pass and optimizer. Default: channels_last, bf16 autocast if the
processor has bf16, an optimizer of live weights only (ERK at 99.95 %). Eager: contiguous fp32 and
torch's own SGD, dense. Prints the ratio; goal: at least 2 times faster on a CPU with AVX-512.

    python benchmarks/step.py [--models ResNet20 ResNet34] [--repeats 3]
"""

import argparse
from collections.abc import Callable

import torch
from timing import interleaved, machine, training_step
from torch.nn.functional import cross_entropy

from dstbench.core.budgets import ERK
from dstbench.core.state import State
from dstbench.models import resnet
from dstbench.models.precision import autocast_for
from dstbench.optim.settings import SGD
from dstbench.training.device import default_precision


def default_step(name: str, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    model = getattr(resnet, name)(num_classes=10).to(memory_format=torch.channels_last)
    state = State(model, (3, 32, 32), seed=0, total_steps=1000)
    sparsity = 0.9995 if state.dense_numel > 1e6 else 0.95  # each layer needs a weight
    ERK(sparsity).init_masks(state)
    optimizer = SGD().build(model, state.masks)
    device = torch.device("cpu")
    autocast = autocast_for(default_precision(device), device)
    x = x.contiguous(memory_format=torch.channels_last)

    return training_step(model, optimizer, autocast, x, y)


def eager_step(name: str, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    model = getattr(resnet, name)(num_classes=10)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4, nesterov=True
    )

    def step() -> None:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", nargs="+", default=["ResNet20", "ResNet34"])
    options.add_argument("--repeats", type=int, default=3)
    args = options.parse_args()
    print(machine())
    x, y = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
    for name in args.models:
        repeats = args.repeats if name != "ResNet20" else 5 * args.repeats
        seconds = interleaved(
            repeats, default=default_step(name, x, y), eager=eager_step(name, x, y)
        )
        print(
            f"{name}: default {seconds['default']:.3f} s, eager fp32 {seconds['eager']:.3f} s, "
            f"{seconds['eager'] / seconds['default']:.2f} times faster"
        )


if __name__ == "__main__":
    main()

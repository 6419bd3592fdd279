"""What each trick costs a training step on ResNet-34 at batch 128, against a plain RigL step.

Wanted: weight sharing at most 1.03, EAST after its phase 1.00, DCTpS at most 2.2; DyReLU's phase
what its arithmetic demands, which is printed. Steps are of the default kind (bf16 where native,
channels_last), without an update.

    python benchmarks/tricks.py [--width 64] [--repeats 3]
"""

import argparse
from collections.abc import Callable

import torch
from timing import interleaved, machine, training_step

from dstbench.budget import ERK
from dstbench.masks import Masks
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.models import ResNet34
from dstbench.optim import SGD
from dstbench.part import Part, State
from dstbench.place import default_precision
from dstbench.train import autocast_for

CPU = torch.device("cpu")


def step_of(parts: list[Part], width: int, beta: float, x: torch.Tensor) -> Callable[[], None]:
    """A training step of a network that these parts have operated on."""
    torch.manual_seed(0)
    y = torch.randint(10, (len(x),))
    model = ResNet34(num_classes=10, width=width).to(memory_format=torch.channels_last)
    state = State(model, (3, 32, 32), 0, 1000)
    for part in parts:
        part.surgery(state)
    state.masks = Masks(model)
    ERK(0.9995 if width == 64 else 0.99).init_masks(state)
    optimizer = SGD().build(model, state.masks)
    autocast = autocast_for(default_precision(CPU), CPU)
    for module in model.modules():
        if isinstance(module, DyReLU):
            module.set_beta(beta)

    return training_step(model, optimizer, autocast, x, y)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--repeats", type=int, default=3)
    args = options.parse_args()
    print(machine())
    x = torch.randn(128, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    candidates = {
        "plain RigL": step_of([], args.width, 0.0, x),
        "weight sharing": step_of([WeightSharing()], args.width, 0.0, x),
        "DyReLU before T_s": step_of([DyReLUPhasing()], args.width, 1.0, x),
        "DyReLU between T_s and T_e": step_of([DyReLUPhasing()], args.width, 0.5, x),
        "EAST after T_e": step_of([WeightSharing(), DyReLUPhasing()], args.width, 0.0, x),
        "DCTpS": step_of([DCTpS()], args.width, 0.0, x),
    }
    seconds = interleaved(args.repeats, **candidates)
    for name, time in seconds.items():
        print(f"{name}: {time:.3f} s, {time / seconds['plain RigL']:.3f} of a plain step")


if __name__ == "__main__":
    main()

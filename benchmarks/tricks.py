"""Compares training steps with one trick each with a plain RigL step: ResNet-34 at batch 128.

Prints the ratios; goals: weight sharing at most 1.03, EAST after its DyReLU phase 1.00, DCTpS at
most 2.2. DyReLU during its phase should cost no more than its arithmetic: a plain step plus the
passes over every activation that its formula and gradient need, which are timed separately. Steps
have the default precision and memory format (bf16 if native, channels_last) and no mask update.

    python benchmarks/tricks.py [--width 64] [--repeats 5]
"""

import argparse
from collections.abc import Callable

import torch
from timing import interleaved, machine, training_step
from torch import Tensor, nn

from dstbench.core.budgets import ERK
from dstbench.core.masks import Masks
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.methods.dctps import DCTpS
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.models.precision import autocast_for
from dstbench.models.resnet import ResNet34
from dstbench.optim.settings import SGD
from dstbench.training.device import default_precision

CPU = torch.device("cpu")
AUTOCAST = autocast_for(default_precision(CPU), CPU)


def network_of(parts: list[Part], width: int, beta: float = 0.0) -> State:
    """Return the State of a ResNet-34 after the surgery of these parts, with ERK masks.

    parts: parts of a method, in order.
    width: channels of the first stage.
    beta: DyReLU's blending factor, 1 (DyReLU) to 0 (ReLU).
    """
    torch.manual_seed(0)
    model = ResNet34(num_classes=10, width=width).to(memory_format=torch.channels_last)
    state = State(model, (3, 32, 32), 0, 1000)
    for part in parts:
        part.surgery(state)
    state.masks = Masks(model)
    ERK(0.9995 if width == 64 else 0.99).init_masks(state)
    for module in model.modules():
        if isinstance(module, DyReLU):
            module.set_beta(beta)
    return state


def step_of(state: State, x: Tensor) -> Callable[[], None]:
    y = torch.randint(10, (len(x),))
    optimizer = SGD().build(state.model, state.masks)
    return training_step(state.model, optimizer, AUTOCAST, x, y)


def arithmetic_of(kind: Callable[[int], nn.Module], width: int, x: Tensor) -> Callable[[], None]:
    """Return a function that runs an activation forward and backward for every ReLU of a ResNet-34.

    kind: function from a number of channels to the activation module.
    width: channels of the network's first stage.
    x: images, (batch, 3, height, width).

    ReLUs with inputs of the same shape use the same tensors and are timed once each.
    """
    inputs: list[Tensor] = []
    model = network_of([], width).model
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad(), AUTOCAST():
        model(x)
    images = {i.shape: torch.randn_like(i).requires_grad_() for i in inputs}
    gradients = {shape: torch.randn_like(image) for shape, image in images.items()}
    kinds = {shape: kind(shape[1]) for shape in images}

    def step() -> None:
        for shape in (i.shape for i in inputs):
            with AUTOCAST():
                y = kinds[shape](images[shape])
            y.backward(gradients[shape])
            images[shape].grad = None

    return step


def dynamic(beta: float) -> Callable[[int], nn.Module]:
    def kind(channels: int) -> DyReLU:
        module = DyReLU(channels, 4, "outputs")
        module.set_beta(beta)
        return module

    return kind


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--repeats", type=int, default=5)
    args = options.parse_args()
    width = args.width
    print(machine())
    x = torch.randn(128, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    before, between = "DyReLU before T_s", "DyReLU between T_s and T_e"
    seconds = interleaved(
        args.repeats,
        **{
            "plain RigL": step_of(network_of([], width), x),
            "weight sharing": step_of(network_of([WeightSharing()], width), x),
            "EAST after T_e": step_of(network_of([WeightSharing(), DyReLUPhasing()], width), x),
            "DCTpS": step_of(network_of([DCTpS()], width), x),
            before: step_of(network_of([DyReLUPhasing()], width, 1.0), x),
            between: step_of(network_of([DyReLUPhasing()], width, 0.5), x),
            f"{before}: its arithmetic": arithmetic_of(dynamic(1.0), width, x),
            f"{between}: its arithmetic": arithmetic_of(dynamic(0.5), width, x),
            "ReLU: its arithmetic": arithmetic_of(lambda _: nn.ReLU(), width, x),
        },
    )
    plain = seconds["plain RigL"]
    for name, time in seconds.items():
        print(f"{name}: {time:.3f} s, {time / plain:.3f} of a plain step")
    for name in (before, between):
        more = seconds[f"{name}: its arithmetic"] - seconds["ReLU: its arithmetic"]
        print(f"{name}: {seconds[name] / plain:.3f}, by its arithmetic {1 + more / plain:.3f}")


if __name__ == "__main__":
    main()

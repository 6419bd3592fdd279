"""Compares a native training step with torch's default step of the same masked network.

A step is forward pass, backward pass and optimizer, at batch 128 on images of 32×32; the candidates
take turns in one process, and CPU time is compared. Prints the ratio, the bytes of planes that a
step moves and the bandwidth that this is, the memory, and the time of a recompilation. With DyReLU,
the native step of the same network with ReLU takes turns, too, and its ratio is printed.

    python benchmarks/native.py [--model ResNet34] [--sparsity 0.9999]
                                [--masks worst|erk|connected|connected_epl]
                                [--activation relu|dyrelu] [--beta 1] [--threads 1] [--repeats 5]
                                [--no-torch]

worst: every live weight is on a path of live weights. erk: random masks with ERK's counts.
connected, connected_epl: in few channels, every live weight on a path, with ERK's or EPL's counts.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from timing import machine
from torch import nn
from traffic import bytes_moved

from dstbench.core.budgets import EPL, ERK
from dstbench.core.masks import Masks
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.measure.worst_case import worst_case
from dstbench.methods.connected import LimitedFanIn
from dstbench.methods.dyrelu import DyReLU, DyReLUPhasing
from dstbench.models import resnet
from dstbench.models.precision import autocast_for
from dstbench.native.network import NativeNetwork
from dstbench.optim.settings import SGD
from dstbench.training.device import default_precision

BATCH = 128
IMAGE = (3, 32, 32)
MASKS: dict[str, Callable[[float], Part]] = {
    "erk": ERK,
    "connected": lambda sparsity: LimitedFanIn(ERK(sparsity)),
    "connected_epl": lambda sparsity: LimitedFanIn(EPL(sparsity)),
}


def masked(
    name: str, sparsity: float, kind: str, beta: float | None = None
) -> tuple[nn.Module, Masks]:
    """Return a network in training mode and its masks.

    beta: of its DyReLUs; None leaves ReLUs.
    """
    torch.manual_seed(0)
    if kind == "worst":
        model, masks = worst_case(getattr(resnet, name), sparsity)
    else:
        model = getattr(resnet, name)(10)
        state = State(model, IMAGE, seed=0, total_steps=1000)
        MASKS[kind](sparsity).init_masks(state)
        masks = state.masks
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    if beta is not None:
        state = State(model, IMAGE, seed=0, total_steps=1000)
        DyReLUPhasing().surgery(state)
        for module in model.modules():
            if isinstance(module, DyReLU):
                module.set_beta(beta)
    return model.train(), masks


def torch_step(model: nn.Module, masks: Masks, x: torch.Tensor, y: torch.Tensor) -> Callable:
    """Return the suite's default step by torch: channels_last, bf16 where the processor has it."""
    device = torch.device("cpu")
    model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    autocast = autocast_for(default_precision(device), device)
    optimizer = SGD().build(model, masks)

    def step() -> None:
        optimizer.zero_grad()
        with autocast():
            logits = model(x)
        nn.functional.cross_entropy(logits.float(), y).backward()
        optimizer.step(1e-4)

    return step


def native_step(network: NativeNetwork, x: torch.Tensor, y: torch.Tensor) -> Callable:
    optimizer = SGD().build(network.model, network.masks)

    def step() -> None:
        optimizer.zero_grad()
        network.forward_backward(x, y)
        optimizer.step(1e-4)

    return step


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--model", default="ResNet34")
    options.add_argument("--sparsity", type=float, default=0.9999)
    options.add_argument("--masks", choices=("worst", *MASKS), default="worst")
    options.add_argument("--activation", choices=("relu", "dyrelu"), default="relu")
    options.add_argument("--beta", type=float, default=1.0)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--no-torch", action="store_true")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    x, y = torch.randn(BATCH, *IMAGE), torch.randint(10, (BATCH,))

    kind = (args.model, args.sparsity, args.masks)
    beta = args.beta if args.activation == "dyrelu" else None
    model, masks = masked(*kind, beta)
    network = NativeNetwork(model, masks, IMAGE, args.threads)
    native = native_step(network, x, y)
    candidates: dict[str, Callable] = {"native": native}
    if beta is not None:
        plain = NativeNetwork(*masked(*kind), IMAGE, args.threads)
        candidates["native, ReLU"] = native_step(plain, x, y)
    if not args.no_torch:
        candidates["torch"] = torch_step(*masked(*kind, beta), x, y)
    native()
    began = time.process_time()
    network.remask_()
    native()
    recompile = time.process_time() - began

    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    for step in candidates.values():
        step()
    for _ in range(args.repeats):
        for name, step in candidates.items():
            for _ in range(1 if name == "torch" else 5):
                began, began_cpu = time.perf_counter(), time.process_time()
                step()
                cpu[name].append(time.process_time() - began_cpu)
                wall[name].append(time.perf_counter() - began)
    median = {name: statistics.median(seconds) for name, seconds in cpu.items()}
    print(
        f"{args.model} {args.sparsity:.2%} {args.masks} {args.activation}: {masks.total():,} "
        "live weights"
    )
    print(
        f"  native {median['native'] * 1e3:.1f} ms CPU, "
        f"{statistics.median(wall['native']) * 1e3:.1f} ms"
    )
    if "native, ReLU" in median:
        relu = median["native, ReLU"]
        print(f"  native with ReLU {relu * 1e3:.1f} ms CPU: {median['native'] / relu:.2f}×")
    moved = sum(bytes_moved(network.compiled(BATCH)).values())
    print(f"  {moved / 1e9:.2f} GB moved, {moved / median['native'] / 1e9:.0f} GB/s")
    print(f"  {network.memory() / 1e6:.0f} MB; masks moved: {(recompile - median['native']):.3f} s")
    if "torch" in median:
        print(
            f"  torch {median['torch'] * 1e3:.0f} ms CPU: {median['torch'] / median['native']:.1f}×"
        )


if __name__ == "__main__":
    main()

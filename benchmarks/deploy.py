"""A compiled network against the best dense fp32 network, in the worst case: every live weight on a
path of live weights, exact ERK counts, 32×32 images.

The dense network is the same one, zeros and all, run in every way torch has that works here:
eager, frozen and optimised for inference, compiled where there is a compiler, each contiguous and
channels_last. The fastest at a batch size is what the compiled network is compared with. A turn is
several calls in a row of one of the two.

Wanted at 99.95 %: ResNet50 ≥ 40, 60 and 120 times faster at batch 1, 2 and 64; ResNet34 ≥ 25, 40
and 60; at 99 % at least as fast.

    python benchmarks/deploy.py [--models ResNet34 ResNet50] [--sparsities 0.9995]
        [--batches 1 2 64] [--repeats 11] [--threads 2] [--plot speedup.png]
"""

import argparse
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from timing import interleaved, machine
from torch import nn

from dstbench import models
from dstbench.deploy.compile import compile_network
from dstbench.deploy.file import write_bytes
from dstbench.deploy.network import Network
from dstbench.deploy.worst_case import worst_case

Call = Callable[[], object]


def dense_ways(model: nn.Module, x: torch.Tensor) -> dict[str, Call]:
    """Name → a call of the network on x, for every way of running it that works here."""
    ways: dict[str, Call] = {}
    for suffix, layout in (("", torch.contiguous_format), ("_nhwc", torch.channels_last)):
        network, images = model.to(memory_format=layout), x.to(memory_format=layout)
        ways["eager" + suffix] = lambda network=network, images=images: network(images)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that all of torch.jit is deprecated
            frozen = torch.jit.freeze(torch.jit.trace(network, images))
            frozen = torch.jit.optimize_for_inference(frozen)
        ways["frozen" + suffix] = lambda network=frozen, images=images: network(images)
        with suppress(Exception):  # whatever a machine without a compiler raises
            compiled = torch.compile(network)
            compiled(images)
            ways["compiled" + suffix] = lambda network=compiled, images=images: network(images)
    return ways


def fastest(ways: dict[str, Call], repeats: int = 3) -> tuple[str, Call]:
    seconds = interleaved(repeats, **ways)
    name = min(seconds, key=lambda way: seconds[way])
    return name, ways[name]


def several(call: Call, times: int) -> Call:
    def turn() -> None:
        for _ in range(times):
            call()

    return turn


def compare(
    model: nn.Module, network: Network, batch: int, repeats: int
) -> tuple[float, float, str]:
    """(ours, dense) in seconds a batch, and how the dense one was run."""
    x = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images = x.numpy()
    torch.compiler.reset()
    name, dense = fastest(dense_ways(model, x))
    calls = max(1, 20 // batch)
    seconds = interleaved(
        repeats, ours=several(lambda: network(images), calls), dense=several(dense, calls)
    )
    return seconds["ours"] / calls, seconds["dense"] / calls, name


def measure(name: str, sparsity: float, args: argparse.Namespace) -> dict[int, float]:
    """Batch size → how many times faster; prints as it goes."""
    model, _ = worst_case(getattr(models, name), sparsity)
    began = time.perf_counter()
    program = compile_network(model, (3, 32, 32))
    took = time.perf_counter() - began
    network = Network(program, args.threads)
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    reference = model(x).numpy()
    error = np.abs(network(x.numpy()) - reference).max() / np.abs(reference).max()
    print(
        f"{name} {100 * sparsity:g} %: compiled in {took:.1f} s, {len(write_bytes(program)):,} "
        f"bytes, {len(program.kind):,} operations, relative error {error:.1e}"
    )
    ratios = {}
    for batch in args.batches:
        ours, dense, way = compare(model, network, batch, args.repeats)
        ratios[batch] = dense / ours
        print(
            f"  batch {batch}: {1e3 * ours:.3f} ms, dense ({way}) {1e3 * dense:.2f} ms, "
            f"{ratios[batch]:.1f} times faster", flush=True,
        )  # fmt: skip
    return ratios


def plot(results: dict[str, dict[float, dict[int, float]]], path: Path) -> None:
    """Speed-up over sparsity, a line for each network and batch size, as PNG and SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    styles = ("-", "--", ":", "-.")
    for color, (name, by_sparsity) in enumerate(results.items()):
        batches = sorted({batch for ratios in by_sparsity.values() for batch in ratios})
        for style, batch in zip(styles, batches, strict=False):
            live = [100 * (1 - sparsity) for sparsity in by_sparsity]
            ratios = [by_batch[batch] for by_batch in by_sparsity.values()]
            axes.plot(live, ratios, style, color=f"C{color}", marker="o", markersize=3,
                      label=f"{name}, batch {batch}")  # fmt: skip
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="live weights (%)",
             ylabel="times faster than dense fp32")  # fmt: skip
    axes.invert_xaxis()
    axes.legend(fontsize="small")
    for suffix in (".png", ".svg"):
        figure.savefig(path.with_suffix(suffix), dpi=150)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--models", nargs="+", default=["ResNet34", "ResNet50"])
    options.add_argument("--sparsities", nargs="+", type=float, default=[0.9995])
    options.add_argument("--batches", nargs="+", type=int, default=[1, 2, 64])
    options.add_argument("--repeats", type=int, default=11)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--plot", type=Path)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    with torch.no_grad():
        results = {
            name: {sparsity: measure(name, sparsity, args) for sparsity in args.sparsities}
            for name in args.models
        }
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()

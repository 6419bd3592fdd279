"""A compiled network against the best dense fp32 network, in the worst case: every live weight on a
path of live weights, exact ERK counts, 32×32 images.

The dense network is the same one, zeros and all, run in every way torch has that works here:
eager, frozen and optimised for inference, compiled where there is a compiler, each contiguous and
channels_last. The fastest at a batch size is what the compiled network is compared with. A turn is
several calls in a row of one of the two.

Wanted at 99.95 %: ResNet50 ≥ 40, 60 and 120 times faster at batch 1, 2 and 64; ResNet34 ≥ 25, 40
and 60; at 99 % at least as fast.

    python benchmarks/deploy.py [--models ResNet34 ResNet50] [--sparsities 0.9995]
        [--batches 1 2 64] [--repeats 11] [--threads 2] [--plot speedup.png] [--memory]

`--memory` measures no time but the peak of resident memory that each of the two needs beyond its
libraries and the images, in a process of its own, the dense one run eagerly; and the same without
what the libraries take when they first run anything. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from timing import interleaved, machine
from torch import nn

from dstbench.deploy.compiler.compile import compile_network
from dstbench.deploy.runtime.network import Network, load
from dstbench.deploy.runtime.program_file import write_bytes
from dstbench.measure.worst_case import worst_case
from dstbench.models import resnet

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
    model, _ = worst_case(getattr(resnet, name), sparsity)
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


PEAK = """
import sys
from pathlib import Path
import numpy as np
{imports}
images = np.ones((int(sys.argv[2]), 3, 32, 32), np.float32)
if sys.argv[4] == "started":
    {start}
Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident now
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
{load}
print(peak() - before)
"""
OURS = PEAK.format(
    imports="from dstbench.deploy import load; from dstbench.deploy.runtime import network",
    start="load(str(Path(sys.argv[1]).with_name('small.dst')), 1)(images)",
    load="load(sys.argv[1], int(sys.argv[3]))(images)",
)
DENSE = PEAK.format(
    imports="import torch; from dstbench import models\ntorch.set_num_threads(int(sys.argv[3]))",
    start="torch.conv2d(torch.from_numpy(images), torch.ones(1, 3, 1, 1))",
    load="model = getattr(models, sys.argv[1])(num_classes=10, in_channels=3).eval()\n"
    "with torch.no_grad(): model(torch.from_numpy(images))",
)


def measure_memory(name: str, sparsity: float, args: argparse.Namespace) -> None:
    """Prints both peaks in MB for every batch size."""
    model, _ = worst_case(getattr(resnet, name), sparsity)
    small = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.dst"
        path.write_bytes(write_bytes(compile_network(model, (3, 32, 32))))
        path.with_name("small.dst").write_bytes(write_bytes(compile_network(small, (3, 32, 32))))
        load(path)(np.zeros((1, 3, 32, 32), np.float32))  # numba keeps what it compiles
        for batch in args.batches:
            for since in ("imported", "started"):
                ours = peak(OURS, path, batch, args.threads, since)
                dense = peak(DENSE, name, batch, args.threads, since)
                print(
                    f"{name} {100 * sparsity:g} %, batch {batch}, libraries {since}: "
                    f"{ours:.1f} MB, dense {dense:.1f} MB", flush=True,
                )  # fmt: skip


def peak(code: str, *words: object) -> float:
    command = [sys.executable, "-c", code, *map(str, words)]
    return 1024 * int(subprocess.run(command, check=True, capture_output=True).stdout) / 1e6


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
    options.add_argument("--memory", action="store_true", help="measure memory instead of time")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(machine())
    if args.memory:
        for name in args.models:
            for sparsity in args.sparsities:
                measure_memory(name, sparsity, args)
        return
    with torch.no_grad():
        results = {
            name: {sparsity: measure(name, sparsity, args) for sparsity in args.sparsities}
            for name in args.models
        }
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()

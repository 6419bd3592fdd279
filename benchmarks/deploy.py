"""A compiled network against the best dense fp32 network, in the worst case.

Counts are ERK's, every live weight is on a path of live weights, images are 32×32.

The dense network is the same one, zeros multiplied, in every dense form of `dstbench measure`
(eager, frozen, compiled), each contiguous and channels_last. The compiled network is compared with
the fastest one of a batch size. A turn is several calls in a row of one of the two.

Goals at 99.95 %: ResNet50 ≥ 40, 60 and 120 times faster at batch 1, 2 and 64; ResNet34 ≥ 25, 40
and 60; at 99 % at least as fast.

    python benchmarks/deploy.py [--models ResNet34 ResNet50] [--sparsities 0.9995]
        [--batches 1 2 64] [--repeats 11] [--threads 2] [--plot speedup.png]

Memory is measured by deploy_memory.py.
"""

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch
from timing import interleaved, machine
from torch import nn

from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program_file import write_bytes
from dstbench.deployment.verify import relative_error
from dstbench.measure.dense_forms import dense_forms
from dstbench.measure.worst_case import worst_case
from dstbench.models import resnet

Call = Callable[[], object]


def dense_calls(model: nn.Module, x: torch.Tensor) -> dict[str, Call]:
    """Return name → call on x, for every dense form and memory format that works here."""
    calls: dict[str, Call] = {}
    for memory_format in (torch.contiguous_format, torch.channels_last):
        images = x.to(memory_format=memory_format)
        forms, _ = dense_forms(copy.deepcopy(model).to(memory_format=memory_format), [images])
        for form in (form for form in forms if form.precision == "fp32"):
            name = f"{form.name}, {str(memory_format).removeprefix('torch.')}"
            prepared = form.prepare(images)
            calls[name] = lambda f=form, x=prepared: f.network(x)
    return calls


def fastest(calls: dict[str, Call], repeats: int = 3) -> tuple[str, Call]:
    seconds = interleaved(repeats, **calls)
    name = min(seconds, key=lambda name: seconds[name])
    return name, calls[name]


def several(call: Call, times: int) -> Call:
    def turn() -> None:
        for _ in range(times):
            call()

    return turn


def compare(
    model: nn.Module, network: Network, batch: int, repeats: int
) -> tuple[float, float, str]:
    """Return seconds a batch of the compiled and of the fastest dense network, and its form."""
    x = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images = x.numpy()
    name, dense = fastest(dense_calls(model, x))
    calls = max(1, 20 // batch)
    seconds = interleaved(
        repeats, compiled=several(lambda: network(images), calls), dense=several(dense, calls)
    )
    return seconds["compiled"] / calls, seconds["dense"] / calls, name


def measure(name: str, sparsity: float, args: argparse.Namespace) -> dict[int, float]:
    """Return batch size → times faster than the best dense network; print each result."""
    model, _ = worst_case(getattr(resnet, name), sparsity)
    start = time.perf_counter()
    program = compile_network(model, (3, 32, 32))
    seconds = time.perf_counter() - start
    network = Network(program, args.threads)
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    error = relative_error(network(x.numpy()), model(x).numpy())
    print(
        f"{name} {100 * sparsity:g} %: compiled in {seconds:.1f} s, {len(write_bytes(program)):,} "
        f"bytes, {len(program.kind):,} operations, relative error {error:.1e}"
    )
    ratios = {}
    for batch in args.batches:
        compiled, dense, form = compare(model, network, batch, args.repeats)
        ratios[batch] = dense / compiled
        print(
            f"  batch {batch}: {1e3 * compiled:.3f} ms, {form} {1e3 * dense:.2f} ms, "
            f"{ratios[batch]:.1f} times faster",
            flush=True,
        )
    return ratios


def plot(results: dict[str, dict[float, dict[int, float]]], path: Path) -> None:
    """Draw speed-up over sparsity, a line for each network and batch size, as PNG and SVG."""
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
            label = f"{name}, batch {batch}"
            axes.plot(live, ratios, style, color=f"C{color}", marker="o", markersize=3, label=label)
    axes.axhline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="live weights (%)", ylabel="times faster than dense fp32")
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

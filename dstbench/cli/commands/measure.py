"""`dstbench measure`: prints how fast a finished network is, in every form it can run in."""

import argparse
import json

from rich.console import Console
from rich.table import Table

from dstbench.errors import UserError
from dstbench.measure.benchmark import Effort, Measurement, measure
from dstbench.measure.measured_network import MeasuredNetwork, from_run, from_worst_case
from dstbench.recording import record
from dstbench.tracking import find_run
from dstbench.training.device import choose_device, set_threads
from dstbench.training.untrained_cost import image_and_classes, shape_from


def main(args: argparse.Namespace) -> int:
    batches = batch_sizes(args.batch)
    if args.repeats is not None and args.repeats < 1:
        raise UserError(f"--repeats {args.repeats}: must be at least 1.")
    set_threads(args.threads)
    device = choose_device(args.device)
    network, effort = chosen_network(args), Effort(args.seconds, args.repeats)
    quiet = args.json or len(batches) == 1
    show_line = print if not quiet else (lambda text: None)
    measurement = measure(network, batches, effort, device, show_line)
    if args.json:
        print(json.dumps(record.plain(measurement), indent=1, ensure_ascii=False))
    else:
        show(measurement)
    return 0


def batch_sizes(text: str) -> list[int]:
    """Return the sizes in a list such as "1,2,64", sorted, without duplicates."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) >= 1 for word in words):
        raise UserError(f"--batch {text}: expected whole numbers from 1, such as --batch 1,2,64.")
    return sorted({int(word) for word in words})


def chosen_network(args: argparse.Namespace) -> MeasuredNetwork:
    """Return the network of the named run, or the worst case.

    Raises UserError: when both were given, or neither.
    """
    if (args.run is None) == (args.worst_case is None):
        raise UserError("name one thing to measure: a RUN, or a --worst-case MODEL.")
    if args.worst_case is None:
        if args.sparsity is not None:
            raise UserError("--sparsity is for --worst-case; the sparsity of a run is fixed.")
        return from_run(find_run.find(args.run, args.runs, args.tracking), args.plugins)
    if args.sparsity is None:
        raise UserError("--worst-case needs a --sparsity, such as --sparsity 0.9995.")
    image = None if args.image is None else shape_from(args.image)
    shape, classes = image_and_classes("cifar10", image, args.classes)
    return from_worst_case(args.worst_case, args.sparsity, shape, classes, args.plugins)


# --- printing -------------------------------------------------------------------------------------


def show(measurement: Measurement) -> None:
    """Print a measurement as a table."""
    console = Console(highlight=False, width=200)
    live, prunable = measurement["live_weights"], measurement["prunable_weights"]
    channels, height, width = measurement["image_shape"]
    dataset = measurement["dataset"] or "random images"
    console.print(
        f"{measurement['method']} · {measurement['model']} · {dataset} "
        f"({channels}×{height}×{width}) · {live:,} live of {prunable:,} weights",
        markup=False,
    )
    on_cpu = measurement["device"] == "cpu"
    device = measurement["cpu"] if on_cpu else measurement["device"]
    console.print(
        f"{device} · threads: {measurement['threads']} · torch {measurement['versions']['torch']} "
        f"· fp32 · medians of {_calls(measurement)} calls",
        markup=False,
    )
    console.print()
    console.print(table(measurement))
    for name, reason in measurement["failed"].items():
        console.print(f"\nNot measured: {name} ({reason})", markup=False)


def _calls(measurement: Measurement) -> str:
    """Return how many calls were timed: one number, or the range over batch sizes."""
    counts = {t.get("calls", measurement["repeats"]) for t in measurement["timings"]}
    return "–".join(map(str, sorted({min(counts), max(counts)})))


def table(measurement: Measurement) -> Table:
    """Return one row for each form and batch size; × is relative to the fastest dense form."""
    rows = Table(box=None, pad_edge=False)
    for column in ("batch", "form"):
        rows.add_column(column)
    for column in ("ms", "quartiles", "images/s", "× best dense"):
        rows.add_column(column, justify="right", min_width=9)
    latency = {(t["form"], t["batch"]): t["latency_ms"] for t in measurement["timings"]}
    previous = None
    for t in measurement["timings"]:
        batch, best = t["batch"], measurement["best_dense"][str(t["batch"])]
        lower, upper = t["quartiles_ms"]
        rows.add_row(
            f"{batch}" if batch != previous else "",
            t["form"] + (" (best dense)" if t["form"] == best else ""),
            f"{t['latency_ms']:.4g}",
            f"{lower:.4g}–{upper:.4g}",
            f"{t['images_per_s']:,.0f}",
            f"{latency[best, batch] / t['latency_ms']:.3g}",
        )
        previous = batch
    return rows

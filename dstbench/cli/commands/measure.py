"""`dstbench measure`: how fast a finished network is, in every form it can be run in."""

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from dstbench.errors import UserError
from dstbench.measure.benchmark import SCHEMA, conditions, measured
from dstbench.measure.subject import Subject, of_run, of_worst_case
from dstbench.records import record
from dstbench.tracking import find_run
from dstbench.training.device import choose_device, set_threads
from dstbench.training.untrained_cost import image_and_classes, shape_from


def main(args: argparse.Namespace) -> int:
    batches = batch_sizes(args.batch)
    if args.repeats < 1:
        raise UserError(f"--repeats {args.repeats}: must be at least 1.")
    set_threads(args.threads)
    device = choose_device(args.device)
    subject = chosen(args)
    figures = {
        "schema": SCHEMA,
        **subject.about,
        **conditions(device, args.repeats),
        **measured(subject, batches, args.repeats, device),
    }
    if args.json:
        print(json.dumps(record.plain(figures), indent=1, ensure_ascii=False))
    else:
        show(figures)
    return 0


# --- what is measured -----------------------------------------------------------------------------


def batch_sizes(text: str) -> list[int]:
    """The sizes in "1,2,64", in order, each once."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) >= 1 for word in words):
        raise UserError(f"--batch {text}: expected whole numbers from 1, such as --batch 1,2,64.")
    return sorted({int(word) for word in words})


def chosen(args: argparse.Namespace) -> Subject:
    """The run that was named, or the worst case. Raises UserError for both, or neither."""
    if (args.run is None) == (args.worst_case is None):
        raise UserError("name one thing to measure: a RUN, or a --worst-case MODEL.")
    if args.worst_case is None:
        if args.sparsity is not None:
            raise UserError("--sparsity is for --worst-case; a run has its own.")
        return of_run(find_run.find(args.run, args.runs, args.tracking), args.plugins)
    if args.sparsity is None:
        raise UserError("--worst-case needs a --sparsity, such as --sparsity 0.9995.")
    image = None if args.image is None else shape_from(args.image)
    shape, classes = image_and_classes("cifar10", image, args.classes)
    return of_worst_case(args.worst_case, args.sparsity, shape, classes, args.plugins)


# --- measuring ------------------------------------------------------------------------------------


# --- showing --------------------------------------------------------------------------------------


def show(figures: dict[str, Any]) -> None:
    """Print what was measured as a table."""
    console = Console(highlight=False, width=200)
    live, prunable = figures["live_weights"], figures["prunable_weights"]
    channels, height, width = figures["image_shape"]
    console.print(
        f"{figures['method']} · {figures['model']} · {figures['dataset'] or 'random images'} "
        f"({channels}×{height}×{width}) · {live:,} live of {prunable:,} weights",
        markup=False,
    )
    device = figures["cpu"] if figures["device"] == "cpu" else figures["device"]
    console.print(
        f"{device} · threads: {figures['threads']} · torch {figures['versions']['torch']} · fp32 · "
        f"medians of {figures['repeats']} calls",
        markup=False,
    )
    console.print()
    console.print(table(figures))
    for name, why in figures["failed"].items():
        console.print(f"\nNot measured: {name} ({why})", markup=False)


def table(figures: dict[str, Any]) -> Table:
    """One line a form and batch size; × is against the fastest dense form of that batch size."""
    made = Table(box=None, pad_edge=False)
    for column in ("batch", "form"):
        made.add_column(column)
    for column in ("ms", "quartiles", "images/s", "× best dense"):
        made.add_column(column, justify="right", min_width=9)
    latency = {(t["form"], t["batch"]): t["latency_ms"] for t in figures["timings"]}
    before = None
    for t in figures["timings"]:
        batch, best = t["batch"], figures["best_dense"][str(t["batch"])]
        lower, upper = t["quartiles_ms"]
        made.add_row(
            f"{batch}" if batch != before else "",
            t["form"] + (" (best dense)" if t["form"] == best else ""),
            f"{t['latency_ms']:.4g}",
            f"{lower:.4g}–{upper:.4g}",
            f"{t['images_per_s']:,.0f}",
            f"{latency[best, batch] / t['latency_ms']:.3g}",
        )
        before = batch
    return made

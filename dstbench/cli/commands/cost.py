"""`dstbench cost`: counts the cost of a run's final network, without training."""

import argparse
import json
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from dstbench.api.costs import count
from dstbench.cli.arguments import choices_from
from dstbench.recording.types import CostReport
from dstbench.recording.uncounted import uncounted_text, unpruned_text
from dstbench.sparsity import live_total, percent
from dstbench.utils.listed import times


def main(args: argparse.Namespace) -> int:
    choices, _ = choices_from(args)
    counted = count(choices, args.image, args.classes, _note).report
    if args.json:
        print(json.dumps(counted, indent=2))
    else:
        show(counted, args.layers)
    return 0


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def show(figures: CostReport, layers: bool) -> None:
    """Print the figures as tables.

    layers: whether to print the table of layers first.
    """
    console = Console(highlight=False, width=200)  # a narrow terminal wraps; nothing is cut off
    if layers:
        console.print(layer_table(figures))
        console.print()
    shape = times(figures["image_shape"])
    console.print(
        f"{figures['method']} · {figures['model']} · {figures['dataset']} ({shape}, "
        f"{figures['classes']} classes) · recipe {figures['recipe']}",
        markup=False,
    )
    console.print(_sparsity(figures))
    console.print()
    console.print(total_table(figures))
    if figures["offset_macs"]:
        console.print(
            "\nDCT offset: ½ q log₂ q MACs per position, q = max(outputs, inputs · kernel).\n"
            "The paper gives only O(q log q); the ½ is fitted to its Table 2."
        )
    if text := uncounted_text(figures):
        console.print(f"\nNot counted in the MACs: {text}.", markup=False)
    if text := unpruned_text(figures):
        console.print(f"\nNever pruned: {text}.", markup=False)


def total_table(figures: CostReport) -> Table:
    """Return the table of the whole network: final, dense, and their ratio."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in ("final", "dense", "ratio"):
        table.add_column(column, justify="right", min_width=10)

    def row(label: str, final: int, dense: int | None, text: Callable[[int], str]) -> None:
        ratio = "" if not dense else f"{100 * final / dense:.4f} %"
        table.add_row(label, text(final), "" if dense is None else text(dense), ratio)

    macs, offset, prunable = figures["macs"], figures["offset_macs"], figures["prunable_weights"]
    row("MACs of one image", macs, figures["dense_macs"], _millions)
    if offset:
        row("  sparse weights", macs - offset, None, _millions)
        row("  DCT offset", offset, None, _millions)
    row("FLOPs (2 × MACs)", figures["flops"], figures["dense_flops"], _millions)
    row("live weights, each tensor once", figures["live_weights"], prunable, _whole)
    row("live weights, at every use", figures["apparent_weights"], None, _whole)
    row("stored weights, zeros included", figures["stored_weights"], prunable, _whole)
    if figures["training_only_parameters"]:
        row("parameters for training only", figures["training_only_parameters"], None, _whole)
    row("deployed bytes (estimate)", figures["deployed_bytes"], None, _whole)
    return table


def layer_table(figures: CostReport) -> Table:
    """Return the table of tensors, one per row, with their sum."""
    table = Table(box=None, pad_edge=False, show_footer=True)
    offset = bool(figures["offset_macs"])
    layers = figures["layers"]
    columns = [
        ("shape", None, lambda layer: times(layer["shape"])),
        ("uses", None, lambda layer: _whole(layer["uses"])),
        ("positions", None, lambda layer: _whole(layer["positions"])),
        ("live", figures["live_weights"], lambda layer: _whole(layer["live"])),
        ("of", figures["stored_weights"], lambda layer: _whole(layer["size"])),
        ("density", None, lambda layer: f"{100 * layer['live'] / layer['size']:.4f} %"),
        ("MACs", figures["macs"], lambda layer: _whole(layer["macs"])),
        ("DCT offset", figures["offset_macs"], lambda layer: _whole(layer["offset_macs"])),
        ("dense MACs", figures["dense_macs"], lambda layer: _whole(layer["dense_macs"])),
    ]
    columns = [column for column in columns if offset or column[0] != "DCT offset"]
    table.add_column("tensor", footer="all", no_wrap=True)
    for name, total, _ in columns:
        table.add_column(name, footer="" if total is None else _whole(total), justify="right")
    for layer in layers:
        table.add_row(layer["name"], *(text(layer) for _, _, text in columns))
    return table


def _sparsity(figures: CostReport) -> str:
    asked, measured = figures["sparsity"]["asked"], figures["sparsity"]["measured"]
    text = f"sparsity asked {percent(asked)} · measured {percent(measured)}"
    budget = live_total(asked, figures["prunable_weights"])
    if figures["live_weights"] != budget:
        spent = figures["live_weights"] / budget - 1
        text += f" · off budget: {100 * spent:+.1f} % live weights"
    return text


def _millions(number: int) -> str:
    return f"{number / 1e6:,.2f} M" if number >= 100_000 else f"{number:,}"


def _whole(number: int) -> str:
    return f"{number:,}"

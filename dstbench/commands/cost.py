"""`dstbench cost`: what the finished network of a run costs, counted without training.

Nothing is read but gin files. Layer budgets need shapes only, so the network is built without
values; a method that looks at the weights to choose its masks, as SynFlow does, gets real ones.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from dstbench.assemble import assemble
from dstbench.budget import live_total
from dstbench.commands.choices import choices_from
from dstbench.cost import cost, training_only_parameters
from dstbench.errors import UserError
from dstbench.masks import Masks
from dstbench.run import Run
from dstbench.session import new_state

Shape = tuple[int, int, int]

# (channels, height, width) and classes of datasets that always have the same.
KNOWN: dict[str, tuple[Shape, int]] = {
    "digits": ((1, 8, 8), 10),
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "imagenet": ((3, 224, 224), 1000),
}


def main(args: argparse.Namespace) -> int:
    choices, _ = choices_from(args)
    run, _ = assemble(choices, "fp32")
    shape, classes = image_and_classes(run.dataset, args.image, args.classes)
    counted = count(run, shape, classes)
    figures = {
        "method": run.method.name,
        "model": run.model.__name__,
        "dataset": run.dataset,
        "recipe": run.recipe,
        "seed": run.seed,
        "image_shape": list(shape),
        "classes": classes,
        "sparsity": {
            "asked": run.method.sparsity,
            "measured": 1 - counted["live_weights"] / counted["prunable_weights"],
        },
        **counted,
    }
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures, args.layers)
    return 0


# --- counting -------------------------------------------------------------------------------------


def image_and_classes(dataset: str, image: str | None, classes: int | None) -> tuple[Shape, int]:
    """Shape of an image and number of classes: as given, else as known of the dataset.

    image: "C,H,W". Raises UserError when one is neither given nor known, or given wrongly.
    """
    known = KNOWN.get(dataset)
    if known is None and (image is None or classes is None):
        raise UserError(
            f"dataset {dataset!r}: no images are read here, and the shape and classes are known "
            f"of {', '.join(KNOWN)} only. Give --image C,H,W and --classes N."
        )
    if classes is not None and classes < 1:
        raise UserError(f"--classes {classes}: must be at least 1.")
    return (
        known[0] if image is None and known else _shape(image or ""),
        known[1] if classes is None and known else classes or 0,
    )


def _shape(image: str) -> Shape:
    sizes = image.split(",")
    if len(sizes) != 3 or not all(s.strip().isdecimal() and int(s) >= 1 for s in sizes):
        raise UserError(
            f"--image {image}: expected channels, height and width, such as --image 3,64,64."
        )
    channels, height, width = map(int, sizes)
    return channels, height, width


def count(run: Run, shape: Shape, classes: int) -> dict[str, Any]:
    """The cost of the run's finished network for one image, as `dstbench.cost.cost` gives it."""
    try:
        return _count(run, shape, classes, torch.device("meta"))
    except (RuntimeError, TypeError):  # what tensors without values raise when asked for them
        print(
            f"{run.method.name} cannot be counted from shapes alone: building the network and "
            "choosing its masks as a run would.",
            file=sys.stderr,
        )
    try:
        return _count(run, shape, classes, torch.device("cpu"))
    except RuntimeError as error:
        raise UserError(
            f"{run.model.__name__} on images of {_times(shape)}: {error}. "
            "Choose another --model, --dataset or --image."
        ) from error


def _count(run: Run, shape: Shape, classes: int, device: torch.device) -> dict[str, Any]:
    state = new_state(run, classes, shape, 1, device)
    run.method.init_masks(state)
    training_only = training_only_parameters(state.model)
    run.method.finish(state)
    state.masks.parameters = Masks(state.model).parameters
    counted = cost(state.model, state.masks, shape, state.dense_numel)
    return counted | {"training_only_parameters": training_only}


# --- showing --------------------------------------------------------------------------------------


def show(figures: dict[str, Any], layers: bool) -> None:
    """Print the figures as tables, the layers' first."""
    console = Console(highlight=False, width=200)  # a narrow terminal wraps; nothing is cut off
    if layers:
        console.print(layer_table(figures))
        console.print()
    shape = _times(figures["image_shape"])
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
            "\nDCT offset: ½ q log₂ q MACs a position, q = max(outputs, inputs · kernel).\n"
            "The paper says only O(q log q); the ½ is fitted to its Table 2."
        )
    if figures["unused"]:
        names = ", ".join(figures["unused"])
        console.print(f"\nNot counted, because no counted function uses them: {names}")


def total_table(figures: dict[str, Any]) -> Table:
    """What the network costs as a whole: finished, dense, and the one as a share of the other."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for column in ("finished", "dense", "share"):
        table.add_column(column, justify="right", min_width=10)

    def row(label: str, finished: int, dense: int | None, text: Callable[[int], str]) -> None:
        share = "" if not dense else f"{100 * finished / dense:.4f} %"
        table.add_row(label, text(finished), "" if dense is None else text(dense), share)

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


def layer_table(figures: dict[str, Any]) -> Table:
    """One line a tensor, and their sum."""
    table = Table(box=None, pad_edge=False, show_footer=True)
    offset = bool(figures["offset_macs"])
    layers = figures["layers"]
    columns = [
        ("shape", None, lambda layer: _times(layer["shape"])),
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


def _sparsity(figures: dict[str, Any]) -> str:
    asked, measured = figures["sparsity"]["asked"], figures["sparsity"]["measured"]
    text = f"sparsity asked {_percent(asked)} · measured {_percent(measured)}"
    budget = live_total(asked, figures["prunable_weights"])
    if figures["live_weights"] != budget:
        spent = figures["live_weights"] / budget - 1
        text += f" · off budget: {100 * spent:+.1f} % live weights"
    return text


def _percent(share: float) -> str:
    return f"{100 * share:.5f}".rstrip("0").rstrip(".") + " %"


def _millions(number: int) -> str:
    return f"{number / 1e6:,.2f} M" if number >= 100_000 else f"{number:,}"


def _whole(number: int) -> str:
    return f"{number:,}"


def _times(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))

"""`dstbench measure`: how fast a finished network is, in every form it can be run in."""

import argparse
import copy
import json
import logging
import sys
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from dstbench import finished, provenance, record
from dstbench.costing import image_and_classes, shape_from
from dstbench.errors import UserError
from dstbench.measure.forms import Form, dense_forms, deployed_form, differences, trained_forms
from dstbench.measure.subject import Subject, of_run, of_worst_case
from dstbench.measure.timing import WARM_UP, Timing, in_turns
from dstbench.place import choose_device, set_threads

SCHEMA = 1


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
        return of_run(finished.find(args.run, args.runs, args.tracking), args.plugins)
    if args.sparsity is None:
        raise UserError("--worst-case needs a --sparsity, such as --sparsity 0.9995.")
    image = None if args.image is None else shape_from(args.image)
    shape, classes = image_and_classes("cifar10", image, args.classes)
    return of_worst_case(args.worst_case, args.sparsity, shape, classes, args.plugins)


def conditions(device: torch.device, repeats: int) -> dict[str, Any]:
    """Where, with what and when it is measured."""
    found = provenance.provenance(
        command=["dstbench", *sys.argv[1:]],
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
        dataset_sha256="",
        sessions=1,
        before={},
    )
    kept = ("device", "cpu", "threads", "platform", "versions", "commit", "dirty", "command")
    return {
        **{key: found[key] for key in kept},
        "dtype": "float32",
        "memory_format": "channels_last",
        "repeats": repeats,
        "warm_up": WARM_UP,
        "time": time.time(),
    }


# --- measuring ------------------------------------------------------------------------------------


def measured(
    subject: Subject, batches: list[int], repeats: int, device: torch.device
) -> dict[str, Any]:
    """forms, timings, best_dense and failed, as docs/measuring.md has them."""
    rng = torch.Generator().manual_seed(0)
    examples = [
        torch.randn(batch, *subject.image_shape, generator=rng).to(
            device, memory_format=torch.channels_last
        )
        for batch in batches
    ]
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # on missing GPUs
    _note("preparing every form (compilers take a while)")
    trained = trained_forms(_placed(subject.model, device))
    dense, failed = dense_forms(_placed(subject.plain, device), examples)
    try:
        if device.type != "cpu":
            raise UserError("it runs on the CPU: --device cpu")
        trained.append(deployed_form(subject.model, subject.masks, subject.image_shape, batches))
    except (UserError, ImportError, TimeoutError) as error:
        failed["deployed"] = str(error)
    apart = differences(trained, examples[-1])
    forms = [*dense, *trained]
    timings = []
    for x in examples:
        _note(f"batch {len(x)}: {len(forms)} forms, {repeats} calls each")
        timings += in_turns(forms, x, repeats)
    return {
        "forms": [_form(form, apart) for form in forms],
        "timings": [_timing(timing) for timing in timings],
        "best_dense": {str(batch): _best(timings, dense, batch) for batch in batches},
        "failed": failed,
    }


def _placed(model: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cpu":
        return model
    return copy.deepcopy(model).to(device)


def _form(form: Form, apart: dict[str, float]) -> dict[str, Any]:
    return {
        "name": form.name, "how": form.how, "trained": form.trained,
        "difference": apart.get(form.name),
    }  # fmt: skip


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "form": timing.form, "batch": timing.batch, "latency_ms": timing.latency_ms,
        "quartiles_ms": list(timing.quartiles_ms), "images_per_s": timing.images_per_s,
    }  # fmt: skip


def _best(timings: list[Timing], dense: list[Form], batch: int) -> str:
    """The fastest of the dense forms at this batch size."""
    among = {form.name for form in dense}
    own = [t for t in timings if t.batch == batch and t.form in among]
    return min(own, key=lambda t: t.latency_ms).form


def _note(text: str) -> None:
    print(f"measure: {text}", file=sys.stderr, flush=True)


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

"""`dstbench measure`: prints how fast a finished network is, in every form it can run in."""

import argparse
import json
import sys

from dstbench.api import find_run
from dstbench.cli.measurement_table import show
from dstbench.errors import UserError
from dstbench.measure.benchmark import measure
from dstbench.measure.budget import Budget
from dstbench.measure.measured_network import MeasuredNetwork, from_run, from_worst_case
from dstbench.measure.progress import progress
from dstbench.measure.time_batches import INTERRUPTED
from dstbench.recording import record
from dstbench.training.device import choose_device, set_threads
from dstbench.training.untrained_cost import image_and_classes


def main(args: argparse.Namespace) -> int:
    if args.repeats is not None and args.repeats < 1:
        raise UserError(f"--repeats {args.repeats}: must be at least 1.")
    set_threads(args.threads)
    device = choose_device(args.device)
    quiet = args.quiet or (args.json and not sys.stderr.isatty())
    with progress(args.seconds, quiet) as step:
        budget = Budget(args.seconds, args.repeats, step, start=args.started)
        step("building the network")
        measurement = measure(chosen_network(args), args.batch, budget, device)
    if args.json:
        print(json.dumps(record.plain(measurement), indent=1, ensure_ascii=False))
    else:
        show(measurement)
    if INTERRUPTED not in measurement.get("not_timed", {}).values():
        return 0
    print("dstbench: interrupted; the result is of what was timed before", file=sys.stderr)
    return 130


def chosen_network(args: argparse.Namespace) -> MeasuredNetwork:
    """Return the network of the named run, or the worst case.

    Raises UserError: when both were given, or neither.
    """
    if (args.run is None) == (args.worst_case is None):
        raise UserError("name one thing to measure: a RUN, or a --worst-case MODEL.")
    if args.worst_case is None:
        for name in ("sparsity", "image", "classes"):
            if getattr(args, name) is not None:
                raise UserError(f"--{name} is for --worst-case; that of a run is fixed.")
        found = find_run.find(args.run, args.runs, args.tracking, args.data_root, args.cache)
        return from_run(found, args.plugins)
    if args.sparsity is None:
        raise UserError("--worst-case needs a --sparsity, such as --sparsity 0.9995.")
    shape, classes = image_and_classes("cifar10", args.image, args.classes)
    return from_worst_case(args.worst_case, args.sparsity, shape, classes, args.plugins)

"""`dstbench check`: runs the conformance suite on a method, a model, or both."""

import argparse
from itertools import chain

import torch
from rich.console import Console

from dstbench.conformance import suite
from dstbench.errors import UserError


def main(args: argparse.Namespace) -> int:
    torch.set_num_threads(1)  # for networks this small, more threads only wait for each other
    console = Console(highlight=False, soft_wrap=True)
    failures, plugins = 0, tuple(args.plugins)
    if args.file is None and args.model is None:
        raise UserError("Give a method's gin file, or a model with --model NAME, or both.")
    results = chain(
        suite.run_checks(args.file, plugins) if args.file is not None else (),
        suite.run_model_checks(args.model, plugins) if args.model is not None else (),
    )
    for result in results:
        console.print(f"{'passed' if result.passed else 'FAILED'}  {result.name}", markup=False)
        if not result.passed:
            failures += 1
            console.print(f"        {result.detail}", markup=False)
    console.print("conforms" if not failures else f"{failures} checks failed")
    return 1 if failures else 0

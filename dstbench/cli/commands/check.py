"""`dstbench check`: runs the conformance suite on a method."""

import argparse

from rich.console import Console

from dstbench.conformance import suite


def main(args: argparse.Namespace) -> int:
    console = Console(highlight=False, soft_wrap=True)
    failures = 0
    for result in suite.run_checks(args.file, tuple(args.plugins)):
        console.print(f"{'passed' if result.passed else 'FAILED'}  {result.name}", markup=False)
        if not result.passed:
            failures += 1
            console.print(f"        {result.detail}", markup=False)
    console.print("conforms" if not failures else f"{failures} checks failed")
    return 1 if failures else 0

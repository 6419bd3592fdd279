"""Runs every check on the method of a gin file.

Each check trains a small network on generated images for a few steps, in fp32 on the CPU.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dstbench.conformance.checks import CHECKS, ConformanceError
from dstbench.conformance.trial import OPTIMIZERS, Trial
from dstbench.errors import UserError


@dataclass(frozen=True)
class Result:
    """The result of one check under one optimizer.

    name: the check and the optimizer.
    passed: whether the method keeps the promise.
    detail: what was wrong, if it does not.
    """

    name: str
    passed: bool
    detail: str = ""


def run_checks(file: str, plugins: tuple[Path, ...] = ()) -> Iterator[Result]:
    """Yield the result of every check under every optimizer.

    file: the method's gin file.
    plugins: Python files that it needs.

    Raises UserError: when the gin file itself is wrong.
    """
    trial = Trial(file, plugins)
    trial.run()
    for name, check in CHECKS.items():
        for optimizer in OPTIMIZERS:
            label = f"{name} ({optimizer})"
            try:
                check(trial, optimizer)
                yield Result(label, True)
            except ConformanceError as error:
                yield Result(label, False, str(error))
            except UserError as error:
                yield Result(label, False, error.message)
            except Exception as error:
                yield Result(label, False, f"{type(error).__name__}: {error}")

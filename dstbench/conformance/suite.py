"""What every method must keep to, whatever it does: a suite to hold any gin file against.

Each check trains a small network on generated images for a few steps, in fp32 on the CPU, and
asserts one promise of the suite.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dstbench.conformance.checks import CHECKS
from dstbench.conformance.trial import OPTIMIZERS, Trial
from dstbench.errors import UserError

__all__ = ["CHECKS", "OPTIMIZERS", "Result", "Trial", "run_checks"]


@dataclass(frozen=True)
class Result:
    """One check: its name, and what was wrong if it failed."""

    name: str
    passed: bool
    detail: str = ""


def run_checks(file: str, plugins: tuple[Path, ...] = ()) -> Iterator[Result]:
    """Every check under every optimizer, for the method of a gin file.

    Raises UserError when the gin file itself is wrong.
    """
    trial = Trial(file, plugins)
    trial.run()
    for name, check in CHECKS.items():
        for optimizer in OPTIMIZERS:
            label = f"{name} ({optimizer})"
            try:
                check(trial, optimizer)
                yield Result(label, True)
            except AssertionError as error:
                yield Result(label, False, str(error))
            except UserError as error:
                yield Result(label, False, error.message)
            except Exception as error:
                yield Result(label, False, f"{type(error).__name__}: {error}")

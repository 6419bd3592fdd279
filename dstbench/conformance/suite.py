"""Runs every check on the method of a gin file, or on a model.

Each check trains a small network on generated images for a few steps, in fp32 on the CPU.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dstbench.config.shipped_files import shipped
from dstbench.conformance.checks import CHECKS, MODEL_CHECKS, ConformanceError
from dstbench.conformance.trial import OPTIMIZERS, Trial
from dstbench.errors import UserError

MODEL_IMAGE = 32  # height and width of the images on which models are checked, pixels


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


def run_checks(
    file: str, plugins: tuple[Path, ...] = (), optimizers: Iterable[str] = tuple(OPTIMIZERS)
) -> Iterator[Result]:
    """Yield the result of every check under every optimizer.

    file: the method's gin file.
    plugins: Python files that it needs.
    optimizers: keys of OPTIMIZERS.

    Raises UserError: when the gin file itself is wrong.
    """
    trial = Trial(file, plugins)
    trial.run()
    for name, check in CHECKS.items():
        for optimizer in optimizers:
            yield _result(check, trial, name, optimizer)


def run_model_checks(model: str, plugins: tuple[Path, ...] = ()) -> Iterator[Result]:
    """Yield the result of every check of a model, trained densely.

    model: its name.
    plugins: Python files that it needs.

    Raises UserError: when there is no such model.
    """
    trial = Trial(str(shipped("methods")["dense"]), plugins, model, MODEL_IMAGE)
    trial.run()
    for name, check in MODEL_CHECKS.items():
        yield _result(check, trial, name, "SGD")


def _result(check: Callable[[Trial, str], None], trial: Trial, name: str, optimizer: str) -> Result:
    label = f"{name} ({optimizer})"
    try:
        check(trial, optimizer)
    except ConformanceError as error:
        return Result(label, False, str(error))
    except UserError as error:
        return Result(label, False, error.message)
    except Exception as error:
        return Result(label, False, f"{type(error).__name__}: {error}")
    return Result(label, True)

"""Checks before runs are started: their number, store, device, precision and datasets."""

from collections.abc import Iterable
from pathlib import Path

from dstbench.config.jobs import Job
from dstbench.data import datasets
from dstbench.errors import UserError
from dstbench.models.precision import PRECISIONS
from dstbench.sweeps.plan import PlannedRun
from dstbench.tracking.store_uri import resolve
from dstbench.training.device import choose_device, default_precision, require_threads


def require_options(
    workers: int | None, threads: int | None, retries: int, tracking: str | None
) -> None:
    """Raise UserError for options that every started run, or its launcher, would refuse.

    workers: runs at a time; threads: CPU threads of a run; None for the defaults.
    retries: how many times a run that died is started again.
    tracking: MLflow store, None for the default one.
    """
    for name, value, least in (("workers", workers, 1), ("retries", retries, 0)):
        if value is not None and not (isinstance(value, int) and value >= least):
            raise UserError(f"--{name} {value}: must be at least {least}.")
    require_threads(threads)
    resolve(tracking)


def precision_of_runs(device: str) -> str:
    """Return the default precision of a device of this machine."""
    return default_precision(choose_device(device))


def precision_elsewhere(device: str, given: str | None) -> str:
    """Return the default precision of runs on other machines.

    device: as for `dstbench run --device`.
    given: value of `--launch precision=`, None to use that of the device of this machine.

    Raises UserError for another value, and if there is neither a value nor such a device.
    """
    if given is not None:
        if given not in PRECISIONS:
            raise UserError(f"--launch precision={given}: must be {' or '.join(PRECISIONS)}.")
        return given
    try:
        return precision_of_runs(device)
    except UserError as error:
        raise UserError(
            f"{error.message} If the machines of the runs have it, give the precision: --launch "
            "precision=bf16 or precision=fp32."
        ) from None


def require_datasets(runs: Iterable[PlannedRun], data_root: Path | None) -> None:
    """Raise UserError for a dataset that is not found, before any run starts."""
    states = datasets.names(data_root)
    for name in sorted({run.job.dataset for run in runs if not _is_folder(run.job)}):
        state = states.get(name, f"not found in {datasets.root_of(data_root).absolute()}")
        if state.startswith("not found"):
            raise UserError(f"dataset {name}: {state}. To leave its runs out, use --only.")


def _is_folder(job: Job) -> bool:
    """Return whether the grid gives the dataset as a folder; `plan_run` has checked it."""
    return "/" in dict(job.choices.axes).get("dataset", "")

"""What a sweep has to do: each run of the grid once, and how far it is on disk."""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from dstbench.cli.arguments import choices_from
from dstbench.cli.parser import parser
from dstbench.config.grid import Job
from dstbench.data import datasets
from dstbench.errors import UserError
from dstbench.records import file_names
from dstbench.records.record import OVER
from dstbench.records.run_folder import RunFolder
from dstbench.records.types import OverStatus, Record
from dstbench.sparsity import percent
from dstbench.training.configure import assemble
from dstbench.training.device import choose_device, default_precision
from dstbench.training.run import run_name
from dstbench.training.settings import Run
from dstbench.utils.files import held

Stage = OverStatus | Literal["busy", "begun", "missing"]


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    folder: its run folder. sha256, text: its resolved configuration. epochs: how many it trains.
    arguments: what is typed after `dstbench`.
    """

    job: Job
    folder: Path
    sha256: str
    text: str
    epochs: int
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def log(self) -> Path:
        """Where its output goes, of all its starts."""
        return self.folder / file_names.LOG

    def record(self) -> Record | None:
        """Its record, if there is one that can be read; the run itself says what is wrong."""
        with suppress(UserError):
            record = RunFolder(self.folder).record()
            if record is not None and record["config"]["sha256"] == self.sha256:
                return record
        return None

    def stage(self) -> Stage:
        """How far the run is: done (finished or diverged), in work elsewhere, begun, or missing."""
        record = self.record()
        if record is not None and record["status"] in OVER:
            return record["status"]
        if self.is_held():
            return "busy"
        begun = any((self.folder / name).exists() for name in file_names.CHECKPOINTS)
        return "begun" if begun else "missing"

    def is_held(self) -> bool:
        """Whether a process is working on the run."""
        lock = self.folder / file_names.LOCK
        try:
            if lock.exists():
                with held(lock, 0):
                    pass
        except TimeoutError:
            return True
        except OSError:  # the run itself says what is wrong
            pass
        return False

    def epochs_done(self) -> int:
        """As far as the last checkpoint covers them."""
        try:
            lines = (self.folder / file_names.CURVES).read_text(encoding="utf-8").splitlines()
            return int(json.loads(lines[-1])["epoch"])
        except (OSError, ValueError, LookupError):
            return 0


def once_each(planned: Sequence[Planned]) -> list[Planned]:
    """The runs without repetitions: what two sections share is one run, and so is what ignores an
    axis that the grid varies."""
    first: dict[str, Planned] = {}
    for run in planned:
        first.setdefault(run.sha256, run)
    return list(first.values())


def planned(job: Job, args: argparse.Namespace, precision: str) -> Planned:
    """The run that a job means, with its identity. Raises UserError for what is wrong with it."""
    arguments = ["run", *job.arguments, *where(args)]
    try:
        choices, _ = choices_from(parser().parse_args(arguments))
        run, resolved = assemble(choices, precision)
        require_as_listed(job, run)
    except UserError as error:
        raise UserError(f"{title(job)}: {error.message}") from None
    if args.launcher != "local":  # the machine that it will run on is not to choose another
        arguments += ["--set", f"Run.precision={run.precision!r}"]
    folder = args.runs / run_name(run, resolved)
    return Planned(job, folder, resolved.sha256, resolved.text, run.epochs, tuple(arguments))


def require_as_listed(job: Job, run: Run) -> None:
    """Raise UserError for a run whose record no table would find under what the grid says it is."""
    would_be = {
        "dataset": Path(run.dataset).name, "model": run.model.__name__,
        "sparsity": run.method.sparsity, "seed": run.seed, "protocol": run.protocol,
        "recipe": run.recipe, "method": run.method.name,
    }  # fmt: skip
    listed = dataclasses.asdict(job) | {"sparsity": job.sparsity or 0.0}
    for name, value in would_be.items():
        if value != listed[name]:
            raise UserError(
                f"its {name} would be {value!r}, but the grid lists it as {listed[name]!r}. Say it "
                "in the section's lists, not in bindings, and in a method's file as %sparsity."
            )


def where(args: argparse.Namespace) -> list[str]:
    """Where and with what each run of the sweep is to run; the launcher chooses the threads."""
    words = ["--runs", str(args.runs), "--device", args.device]
    for option in ("data_root", "cache", "tracking"):
        if (value := getattr(args, option)) is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    return words + [word for path in args.plugins for word in ("--plugin", str(path))]


def precision_of_runs(args: argparse.Namespace, options: dict[str, Any]) -> str:
    """The default precision of the device that the runs will have; takes it out of the options.

    Raises UserError for a device that is not here, unless the runs will be somewhere else and
    their precision is said.
    """
    if args.launcher != "local" and "precision" in options:
        if (said := options.pop("precision")) not in ("bf16", "fp32"):
            raise UserError(f"--launch precision={said}: must be bf16 or fp32.")
        return said
    try:
        return default_precision(choose_device(args.device))
    except UserError as error:
        if args.launcher == "local":
            raise
        raise UserError(
            f"{error.message} Or, if there is one where the runs will be, say what it is to "
            "compute in: --launch precision=bf16, or fp32."
        ) from None


def device_name(name: str) -> str:
    """The device as records have it."""
    device = choose_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def require_data(runs: Sequence[Planned], args: argparse.Namespace) -> None:
    """Raise UserError for a dataset that is not here, before run after run says so."""
    there = datasets.names(args.data_root)
    for name in sorted({run.job.dataset for run in runs if not in_a_folder(run.job)}):
        state = there.get(name, f"not found in {datasets.root_of(args.data_root).absolute()}")
        if state.startswith("not found"):
            raise UserError(f"dataset {name}: {state}. To leave its runs out, see --only.")


def in_a_folder(job: Job) -> bool:
    """Whether the grid gives the dataset as a folder, which was looked for when it was planned."""
    typed = dict(itertools.pairwise(job.arguments)).get("--dataset", "")
    return "/" in typed


def title(job: Job) -> str:
    """A run as people name it."""
    sparsity = "" if job.sparsity is None else f" · {percent(job.sparsity)}"
    return f"{job.method} · {job.model} · {job.dataset}{sparsity} · seed {job.seed}"

"""The plan of a sweep: each run of the grid once, and how far it is on disk."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dstbench.config.grid import Table
from dstbench.config.jobs import Job
from dstbench.config.overrides import parse_override
from dstbench.data.dataset_folder import split_dataset
from dstbench.errors import UserError
from dstbench.recording import file_names
from dstbench.recording.curves import read_curves
from dstbench.recording.record import OVER
from dstbench.recording.run_folder import RunFolder
from dstbench.recording.run_lock import is_locked
from dstbench.recording.session_history import plugin_hashes, refuse_changed_plugins
from dstbench.recording.types import ENGINES, OverStatus, Record
from dstbench.sparsity import percent
from dstbench.training.configure import assemble
from dstbench.training.run import run_name
from dstbench.training.settings import Run

Stage = OverStatus | Literal["published", "busy", "interrupted", "missing"]
_NOT_STARTED: tuple[Stage, ...] = (*OVER, "published")


@dataclass(frozen=True)
class RunOptions:
    """Options that all runs of a sweep share; none of them is part of a run's identity.

    runs: folder of run folders.
    device: as for `dstbench run --device`.
    data_root: folder of datasets, None for the default one.
    cache: folder of decoded data, None for the default one.
    tracking: MLflow store, None for the default one, 'off' for none. Runs get its address, which
        may hold a password, by their environment.
    engine: as for `dstbench run --engine`, None for that of the configuration.

    Raises UserError for another engine: every run would be refused.
    """

    runs: Path
    device: str = "auto"
    data_root: Path | None = None
    cache: Path | None = None
    tracking: str | None = None
    engine: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in (None, "auto", *ENGINES):
            allowed = ", ".join(("auto", *ENGINES))
            raise UserError(f"engine = {self.engine!r}: expected one of {allowed}.")

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of `dstbench run` that set these options, except an address."""
        values = dataclasses.asdict(self) | {
            "tracking": None if self.environment else self.tracking
        }
        options = [(n.replace("_", "-"), str(v)) for n, v in values.items() if v is not None]
        return tuple(word for name, text in options for word in (f"--{name}", text))

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that set the other ones."""
        if self.tracking is None or self.tracking.lower() == "off":
            return {}
        return {"MLFLOW_TRACKING_URI": self.tracking}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    job: the run as the grid lists it.
    folder: its run folder.
    sha256, text: hash and text of its resolved configuration.
    epochs: number of epochs it trains.
    arguments: its command line, after `dstbench`.
    plugins: (label, sha256) of its plugins' files, see `session_history.plugin_hashes`.
    """

    job: Job
    folder: Path
    sha256: str
    text: str
    epochs: int
    arguments: tuple[str, ...]
    plugins: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def log(self) -> Path:
        """File of the run's output, of all its starts."""
        return self.folder / file_names.LOG

    def record(self) -> Record | None:
        """Return the run's record, None if there is no readable one of this configuration."""
        with suppress(UserError):  # the run itself reports what is wrong
            record = RunFolder(self.folder).record()
            if record is not None and record["config"]["sha256"] == self.sha256:
                before = record["provenance"].get("plugins", {})
                refuse_changed_plugins(before, dict(self.plugins), self.folder)
                return record
        return None

    def stage(self) -> Stage:
        """Return how far the run is; busy: another process works on it."""
        record = self.record()
        if record is not None and record["status"] in OVER:
            return record["status"]
        if self.is_held():
            return "busy"
        return "interrupted" if RunFolder(self.folder).has_checkpoint else "missing"

    def is_held(self) -> bool:
        """Return whether a process works on the run."""
        return is_locked(self.folder)

    def epochs_done(self) -> int:
        """Return the number of epochs up to the last checkpoint."""
        with suppress(UserError):  # an estimate needs no more
            if lines := read_curves(self.folder / file_names.CURVES):
                return lines[-1]["epoch"]
        return 0


@dataclass(frozen=True)
class SweepPlan:
    """The runs of a sweep.

    grid: the grid that lists them.
    stages: each run, once, and how far it was when the plan was made; published: a leaderboard has
        it, and it is not done here.
    """

    grid: Table
    stages: Mapping[PlannedRun, Stage]

    @property
    def remaining(self) -> list[PlannedRun]:
        """The runs that are to be started."""
        return [run for run, stage in self.stages.items() if stage not in _NOT_STARTED]

    @property
    def folders(self) -> list[Path]:
        """The folders of all runs that are not published, whether they exist yet or not."""
        return [run.folder for run, stage in self.stages.items() if stage != "published"]


def unique_runs(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """Return the runs without repetitions of a configuration.

    Two sections may list the same run, and a method may ignore an axis that the grid varies.
    """
    first: dict[str, PlannedRun] = {}
    for run in runs:
        first.setdefault(run.sha256, run)
    return list(first.values())


def plan_run(
    job: Job, plugins: tuple[Path, ...], options: RunOptions, precision: str
) -> PlannedRun:
    """Return the run of a job, with its configuration and folder.

    plugins: Python files that the run loads.
    precision: default precision of the device that will run it.

    Raises UserError for anything wrong with the run's configuration.
    """
    choices = dataclasses.replace(job.choices, plugins=plugins)
    axes = dict(choices.axes)
    try:
        if "dataset" in axes:
            axes["dataset"], _ = split_dataset(axes["dataset"], options.data_root)
        run, resolved = assemble(dataclasses.replace(choices, axes=tuple(axes.items())), precision)
        _require_as_listed(job, run)
    except UserError as error:
        raise UserError(f"{title(job)}: {error.message}") from None
    folder = options.runs / run_name(run, resolved)
    arguments = ("run", *choices.arguments, *options.arguments)
    hashes = tuple(plugin_hashes(plugins, resolved.text).items())
    return PlannedRun(job, folder, resolved.sha256, resolved.text, run.epochs, arguments, hashes)


def pin_precision(run: PlannedRun) -> PlannedRun:
    """Return the run with its precision in its arguments, for a machine of another default.

    One that its grid binds is there already.
    """
    bound = [b for text in run.job.choices.sets for b in parse_override(text, repr(text))]
    if any(str(binding) in ("precision", "Run.precision") for binding in bound):
        return run
    precision = re.search(r"^Run\.precision = (.+)$", run.text, re.MULTILINE)
    assert precision is not None
    pinned = ("--set", f"Run.precision={precision[1]}")
    return dataclasses.replace(run, arguments=(*run.arguments, *pinned))


def title(job: Job) -> str:
    """Return a line that names the run."""
    sparsity = "" if job.sparsity is None else f" · {percent(job.sparsity)}"
    return f"{job.method} · {job.model} · {job.dataset}{sparsity} · seed {job.seed}"


def _require_as_listed(job: Job, run: Run) -> None:
    """Raise UserError if the run's record would differ from what the grid lists."""
    recorded = {
        "dataset": Path(run.dataset).name,
        "model": run.model.__name__,
        "sparsity": run.method.sparsity,
        "seed": run.seed,
        "protocol": run.protocol,
        "recipe": run.recipe,
        "method": run.method.name,
    }
    for name, value in recorded.items():
        listed = getattr(job, name)
        if name == "sparsity":
            listed = listed or 0.0  # None: a method without sparsity
        if value != listed:
            raise UserError(
                f"its {name} would be {value!r}, but the grid lists it as {listed!r}. Set it in "
                "the section's lists, not in bindings, and in a method's file as %sparsity."
            )

"""`dstbench.run`: one run, from its choices to its result."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from dstbench.api.choices import ChoiceArguments, MethodLike, choose
from dstbench.api.given_paths import optional_path, path_of
from dstbench.api.notebook import NotebookReporter, in_notebook
from dstbench.api.result import Result
from dstbench.config.choices import Choices
from dstbench.errors import UserError
from dstbench.tracking.store_uri import resolve
from dstbench.training.configure import assemble
from dstbench.training.device import choose_device, default_precision, set_threads
from dstbench.training.distributed.nonzero_ranks import silent_reporter
from dstbench.training.distributed.process_group import ProcessGroup, init_process_group
from dstbench.training.outcome import Outcome
from dstbench.training.progress import Reporter
from dstbench.training.run import carry_out
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.undisturbed import undisturbed

_REPORT_AFTER_S = 10  # by then, the first process has reported a mistake that all processes found


def run(
    method: MethodLike,
    *,
    runs: str | Path = "runs",
    data_root: str | Path | None = None,
    cache: str | Path | None = None,
    tracking: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    checkpoint_seconds: float = 60.0,
    fresh: bool = False,
    quiet: bool = False,
    **choices: Unpack[ChoiceArguments],
) -> Result:
    """Train a network, or resume an interrupted run, or return the result of one that is over.

    method: name or gin file of a method; or the registered class of a part, which then moves the
        masks of a random ERK start.
    runs: folder of run folders.
    data_root: folder of datasets; None for $DSTBENCH_DATA, or data.
    cache: folder of decoded data; None for $DSTBENCH_CACHE, or the user's cache folder.
    tracking: MLflow store, or 'off'; None for $MLFLOW_TRACKING_URI, or sqlite:///mlflow.db.
    device: 'auto', 'cpu', 'cuda', 'cuda:1', …
    threads: CPU threads; None for one where a step is small, else torch's default.
    checkpoint_seconds: time between checkpoints, s.
    fresh: start over instead of resuming.
    quiet: no progress.
    choices: what defines the run, see `ChoiceArguments`.

    Ctrl-C saves the run and returns its result so far, whose status is 'interrupted'; the same call
    resumes it.

    Raises UserError for a mistake in the arguments, the files or the data.
    """
    for name, value in (("fresh", fresh), ("quiet", quiet)):
        if not isinstance(value, bool):
            raise UserError(f"{name} = {value!r}: expected True or False.")
    if not isinstance(threads, int | None):
        raise UserError(f"threads = {threads!r}: expected a whole number, or None.")
    if not isinstance(checkpoint_seconds, int | float) or not 0 < checkpoint_seconds < math.inf:
        raise UserError(f"checkpoint_seconds = {checkpoint_seconds!r}: expected a positive number.")
    if not isinstance(device, str):
        raise UserError(f"device = {device!r}: expected a text, such as 'cpu'.")
    chosen, root = choose(method, data_root, **choices)
    options = RuntimeOptions(
        runs=path_of("runs", runs),
        data_root=root,
        cache=optional_path("cache", cache),
        threads=threads,
        tracking=tracking,
        checkpoint_seconds=checkpoint_seconds,
        fresh=fresh,
        command=_command(chosen, method, device, threads),
        plugins=chosen.plugins,
    )
    reporter = NotebookReporter(quiet) if in_notebook() else Reporter(quiet=quiet)
    with undisturbed():
        return Result.of(start(chosen, options, device, reporter))


def start(
    choices: Choices,
    options: RuntimeOptions,
    device: str,
    reporter: Reporter,
    show: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Carry out a run as one of its processes; under torchrun there are several.

    options: device and group are filled in here.
    device: its name.
    reporter: of the first process; the others print nothing.
    show: called in the first process with the outcome, while the others wait.

    Raises UserError for a mistake in the choices, the options or the data.
    """
    with init_process_group() as group:
        try:
            outcome = _start(choices, options, device, reporter, group)
            if group.first:
                show(outcome)
            return outcome
        except UserError:
            if not group.first:
                # If the first process found the same mistake, torchrun ends this one meanwhile.
                time.sleep(_REPORT_AFTER_S)
            raise


def _start(
    choices: Choices, options: RuntimeOptions, device: str, reporter: Reporter, group: ProcessGroup
) -> Outcome:
    set_threads(options.threads)
    with group.raise_together():
        found = choose_device(device, group)
        if options.sync_batch_norm and found.type != "cuda":
            raise UserError("--sync-batch-norm: torch supports it on GPUs only. Remove it.")
        resolve(options.tracking)  # refuses a wrong address before anything is trained
        run, resolved = assemble(choices, default_precision(found))
    group.check_equal(resolved.sha256, "their configuration")
    options = replace(
        options,
        device=found,
        group=group,
        sync_batch_norm=options.sync_batch_norm and not group.alone,
    )
    return carry_out(run, resolved, options, reporter if group.first else silent_reporter())


def _command(
    choices: Choices, method: MethodLike, device: str, threads: int | None
) -> tuple[str, ...]:
    """Return the command line that does the same, for the record; a class is only named."""
    asked = [("device", device)] if device != "auto" else []
    asked += [] if threads is None else [("threads", str(threads))]
    named = () if isinstance(method, str | Path) else (method.__name__,)
    words = (word for name, value in asked for word in (f"--{name}", value))
    return ("dstbench", "run", *named, *choices.arguments, *words)

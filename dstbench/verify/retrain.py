"""Trains a record's run again: another attempt, compared with the first and kept beside it."""

from pathlib import Path

from dstbench.boards.network_files import NETWORKS, large_networks
from dstbench.boards.replications import REPLICATIONS
from dstbench.errors import UserError
from dstbench.recording.file_names import RECORD
from dstbench.recording.record import OVER, read
from dstbench.recording.types import Record
from dstbench.training.configure import resolved_run
from dstbench.training.progress import Reporter
from dstbench.training.run import carry_out, run_name
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.undisturbed import undisturbed
from dstbench.utils.files import make_folder, write_atomic
from dstbench.verify.rebuild import configured_run


def retrain(path: Path, options: RuntimeOptions) -> Path:
    """Train the run of a record again, and return the path of the new record, perhaps diverged.

    path: of the record.
    options: where the new run goes; a run that was stopped there resumes.

    Raises UserError for a run that cannot be trained here, or was stopped, and NotRecomputable for
    one with plugins.
    """
    record = read(path)
    configured_run(record)  # checks what the configuration imports
    with undisturbed():  # a run and its training are in one configuration of gin
        run, resolved = resolved_run(record["config"]["text"])
        folder = options.runs / run_name(run, resolved)
        if (folder / RECORD).exists() and _attempt(read(folder / RECORD)) == _attempt(record):
            raise UserError(
                f"{folder} holds the record's own run. Choose another folder with --runs."
            )
        again = carry_out(run, resolved, options, Reporter(quiet=True)).record
    if again["status"] not in OVER:
        raise UserError(f"{folder}: the run was stopped; the same command resumes it.")
    return folder / RECORD


def keep(replication: Path, original: Path, leaderboard: Path) -> Path:
    """Copy a new record, and its networks, to a leaderboard, and return the record's copy.

    Raises UserError when a network is not the record's, or a file cannot be written.
    """
    record = read(replication)
    attempt = _attempt(record)
    target = leaderboard / REPLICATIONS / f"{original.stem}-{attempt[:8]}.json"
    networks = dict(large_networks(replication.parent, record, target.stem))
    for file, network in networks.items():  # before the record: it names them
        make_folder(leaderboard / NETWORKS)
        write_atomic(leaderboard / NETWORKS / file, network)
    make_folder(target.parent)
    write_atomic(target, replication.read_bytes())
    return target


def _attempt(record: Record) -> str:
    return record["provenance"]["attempt"]

"""One whole run: from settings to a finished record, resumed where it stopped."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dstbench.config.identity import Resolved
from dstbench.data import datasets
from dstbench.data.images import Dataset
from dstbench.errors import UserError
from dstbench.records import session_history
from dstbench.records.file_names import RECORD
from dstbench.records.record import OVER
from dstbench.records.run_folder import RunFolder
from dstbench.records.run_name import run_name as name_of
from dstbench.records.run_summary import run_summary
from dstbench.records.types import Record
from dstbench.tracking.live_mirror import Mirror, mirrored_to
from dstbench.training.distributed.follower import NullRunFolder
from dstbench.training.progress import Reporter
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run
from dstbench.training.trainer import Session
from dstbench.utils.signals import Interrupted


def carry_out(run: Run, resolved: Resolved, place: RuntimeOptions, report: Reporter) -> int:
    """Bring the run to its end, from wherever it stands, and show what it came to."""
    ranks, path = place.ranks, place.runs / run_name(run, resolved)
    folder = RunFolder(path) if ranks.first else NullRunFolder(path)
    with ExitStack() as held:
        with ranks.raise_together():
            held.enter_context(folder.locked())
        dataset = loaded(run, place)
        with ranks.raise_together():
            record = None if place.fresh else folder.record()
            if record is not None:
                refuse_other_contents(record, dataset, place, path)
        record = ranks.from_first(record)
        if record is not None and record["status"] in OVER:
            report.note("This run is done already; --fresh starts it over.")
            tracked = mirrored_to(path)
        else:
            session = Session(run, resolved, place, folder, dataset, report)
            if place.fresh:  # not before the new run is known to be possible
                folder.clear()
            mirror = Mirror(path, place.tracking if ranks.first else "off")
            try:
                record = session.go()
            except Interrupted as error:
                mirror.finish(timeout_s=5)
                report.note(f"Stopped by {error}; everything is saved. The same command goes on.")
                return error.exit_code
            tracked = mirror.finish(timeout_s=30)
        if ranks.first:
            print(run_summary(record, str(path / RECORD), tracked))
        return 0 if record["status"] == "finished" else 1


def loaded(run: Run, place: RuntimeOptions) -> Dataset[Any]:
    """The dataset. The first process fills the cache, and the others find it there."""
    ranks = place.ranks
    load = datasets.load if run.pipeline.decoded else datasets.load_encoded
    for turn in (True, False):
        with ranks.raise_together():
            if ranks.first is turn:
                dataset = load(run.dataset, place.data_root, place.cache)
    ranks.check_equal(dataset.sha256, "the images they have")
    return dataset


def refuse_other_contents(
    record: Record, dataset: Dataset[Any], place: RuntimeOptions, path: Path
) -> None:
    """Raise UserError if the record is of other images, or of other plugins, than there are now."""
    provenance = record["provenance"]
    if provenance["dataset_sha256"] != dataset.sha256:
        raise UserError(
            f"{path} holds results on other images than {dataset.name} has now. Give your data "
            "another name, or start over with --fresh."
        )
    session_history.refuse_changed_plugins(
        provenance.get("plugins", {}), session_history.plugin_hashes(place.plugins), path
    )


def run_name(run: Run, resolved: Resolved) -> str:
    """Folder name of a run."""
    method, model = run.method, run.model.__name__
    return name_of(method.name, run.dataset, model, method.sparsity, run.seed, resolved.sha256)

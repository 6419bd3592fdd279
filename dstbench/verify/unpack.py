"""Writes the run folder of a leaderboard's record, so that its network can be used.

The record may be a stranger's: methods of the suite only, no plugin, no pickle.
"""

import tempfile
from pathlib import Path

from dstbench.boards.network_files import network_files, paths_of
from dstbench.boards.validation import inconsistencies, record_name
from dstbench.errors import UserError
from dstbench.recording.file_names import BEST_NETWORK, FINAL_NETWORK
from dstbench.recording.record import read
from dstbench.recording.run_folder import RunFolder
from dstbench.recording.stored_network import read_network
from dstbench.recording.types import Record, StoredNetwork
from dstbench.training.final_evaluation import network_content
from dstbench.verify.images import Images
from dstbench.verify.rebuild import NotRecomputable, configured_run, rebuilt


def unpack(path: Path, runs: Path, images: Images) -> Path:
    """Write the run folder of a record, with its configuration and its networks, and return it.

    path: of the record; a network that it has no room for is where a leaderboard keeps it.
    runs: folder below which the run folder is made, named as the run.
    images: datasets of this machine; the record lacks their class names, mean and deviation.

    The folder lacks the curves: a leaderboard keeps only what figures show. It is written
    completely or not at all.

    Raises UserError when: the record contradicts itself, carries no network, is not of the suite's
        methods, or does not fit its network; its dataset is not on this machine; or the folder
        exists.
    """
    record = read(path)
    if "network" not in record:
        raise UserError(
            f"{path}: this record carries no network, and no folder below {runs} has a run of "
            f"configuration {record['config']['sha256'][:8]}. Choose the folder of runs with "
            "--runs DIR, or give the run's MLflow id."
        )
    if (problem := next(inconsistencies(record), None)) is not None:
        raise UserError(f"{path}: contradicts itself: {problem}.")
    folder = runs / record_name(record)
    if folder.exists() or folder.is_symlink():
        raise UserError(
            f"{path}: its run would be {folder}, which is there and is not that run. Choose "
            "another folder: --runs DIR."
        )
    files = _networks(record, path, images)
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--runs {runs}: cannot be made ({error.strerror}).") from None
    with tempfile.TemporaryDirectory(dir=runs, prefix=".unpack-") as temporary:
        whole = RunFolder(Path(temporary, folder.name))
        whole.path.mkdir()
        whole.write_record(record)
        whole.write_config(record["config"]["text"])
        for name, content in files.items():
            whole.write_network(name, content)
        try:
            whole.path.rename(folder)
        except OSError:  # another process has unpacked it meanwhile
            if RunFolder(folder).record() != record:
                raise
    return folder


def _networks(record: Record, path: Path, images: Images) -> dict[str, bytes]:
    """Return file in the run folder → content, of the final network and, if it has one, the best.

    Raises UserError as `unpack`.
    """
    try:
        run = configured_run(record)
    except NotRecomputable as error:
        raise UserError(f"{path}: its network is not rebuilt: {error}.") from None
    except UserError as error:
        raise UserError(f"{path}: {error.message}") from None
    loaders = images.loaders(run)
    if loaders is None:
        raise UserError(
            f"{path}: its network is for images of {run.dataset}, which are not on this machine, "
            "and their mean, deviation and class names are needed. Name the folder of datasets "
            "with --data-root DIR or DSTBENCH_DATA; `dstbench doctor` shows what is there, "
            "`dstbench data` fetches it."
        )
    if loaders.dataset.sha256 != record["provenance"]["dataset_sha256"]:
        raise UserError(f"{path}: the images of {run.dataset} here are not those it trained on.")
    files = {}
    for place, name in zip(network_files(path.stem), (FINAL_NETWORK, BEST_NETWORK), strict=True):
        stored: StoredNetwork | None = record.get(place.key)  # type: ignore[assignment]
        if stored is None:
            continue
        try:
            content = read_network(stored, paths_of(path, place))
            shape, classes = loaders.image_shape, len(loaders.dataset.classes)
            state, _ = rebuilt(run, shape, classes, content, path)
        except UserError as error:
            where = "" if error.message.startswith(str(path)) else f"{path}: "
            raise UserError(f"{where}{error.message}") from None
        files[name] = network_content(state, loaders, record["config"]["text"])
        if "data" not in stored:
            files[place.in_run] = content
    return files

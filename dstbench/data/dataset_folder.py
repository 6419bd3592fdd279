"""A dataset that is given as a folder: its id is the folder's name, its data root the parent."""

from pathlib import Path

from dstbench.data.sources.cifar import ORIGINALS
from dstbench.data.sources.digits import DIGITS
from dstbench.data.sources.split_names import split_of_folder
from dstbench.errors import UserError


def split_dataset(dataset: str, data_root: Path | None) -> tuple[str, Path | None]:
    """Return the id and the data root of a dataset.

    The folder of CIFAR's original files stands for the dataset in them.

    dataset: an id, or a folder of images or parquet files.
    data_root: the folder of datasets, None for the default one.

    Raises UserError: for a folder that does not exist, one of a single split, one with the name of
        the embedded dataset, and a folder together with a data root.
    """
    if not _is_path(dataset):
        return dataset, data_root
    path = Path(dataset).expanduser()
    if not dataset or not path.is_dir():
        raise UserError(
            f"--dataset {dataset}: {'is a file' if path.is_file() else 'no such folder'}. Give a "
            "dataset's id (`dstbench list datasets`) or an existing folder of images or parquet "
            "files."
        )
    if data_root is not None:
        raise UserError(f"--dataset {dataset} is a folder. Remove --data-root.")
    folder = path.resolve() if path.name in ("", "..") else path.absolute()
    for name, original in ORIGINALS.items():
        if folder.name == original.folder:
            return name, folder.parent
    if split_of_folder(folder.name):
        raise UserError(
            f"--dataset {dataset}: is one split of a dataset, by its name. Give the folder of the "
            f"whole dataset, such as {folder.parent}; or rename it, as results have its name."
        )
    if folder.name == DIGITS:
        raise UserError(
            f"--dataset: {folder.name!r} is the id of a dataset of the suite. Rename your folder, "
            "so that results are not mixed."
        )
    return folder.name, folder.parent


def _is_path(dataset: str) -> bool:
    """Return whether the text is a folder's path rather than an id."""
    return "/" in dataset or dataset in ("", ".", "..")

"""A dataset that is given as a folder: its id is the folder's name, its data root the parent."""

from pathlib import Path

from dstbench.data.datasets import KNOWN
from dstbench.data.sources.published import PUBLISHED
from dstbench.errors import UserError


def split_dataset(dataset: str, data_root: Path | None) -> tuple[str, Path | None]:
    """Return the id and the data root of a dataset.

    dataset: an id, or a folder of images or parquet files.
    data_root: the folder of datasets, None for the default one.

    Raises UserError: for a folder that does not exist, one with the name of a shipped dataset whose
        content cannot be verified, and a folder together with a data root.
    """
    if "/" not in dataset and dataset not in ("", ".", ".."):
        return dataset, data_root
    folder = Path(dataset).absolute()
    if not dataset or not folder.is_dir():
        raise UserError(
            f"--dataset {dataset}: no such folder. Give a dataset's id (`dstbench list datasets`) "
            "or an existing folder of images or parquet files."
        )
    if data_root is not None:
        raise UserError(f"--dataset {dataset} is a folder. Remove --data-root.")
    if folder.name in KNOWN and folder.name not in PUBLISHED:
        raise UserError(
            f"--dataset: {folder.name!r} is the id of a dataset of the suite. Rename your folder, "
            "so that results are not mixed."
        )
    return folder.name, folder.parent

"""Where images come from: the datasets a run can name, loaded, listed, fetched.

A dataset's id is `digits` (embedded), `cifar10` or `cifar100` (the original files), or the name of
a folder under the data root that holds an image folder or parquet files. Nothing is downloaded
unless `fetch` is called; decoded pixels are kept in the cache folder.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from dstbench.data.images import Dataset, Images, Shape, Source
from dstbench.data.sources import cache as disk
from dstbench.data.sources import cifar, image_folder, parquet
from dstbench.data.sources.digits import DIGITS, _digits
from dstbench.data.sources.encoded import EncodedImages
from dstbench.errors import UserError, did_you_mean

__all__ = ["KNOWN", "Dataset", "Images", "Known", "fetch", "load", "names"]


class Known(NamedTuple):
    """What is known of a dataset without reading it. image: (channels, height, width)."""

    image: Shape
    classes: int


# The ids whose images always have one shape; no folder of other images may take one of them.
KNOWN = {
    DIGITS: Known((1, 8, 8), 10),
    "cifar10": Known((3, 32, 32), 10),
    "cifar100": Known((3, 32, 32), 100),
    "imagenet": Known((3, 224, 224), 1000),
}
KINDS = {"parquet files": parquet, "an image folder": image_folder}
LAYOUTS = (
    "an image folder (train/<class>/*.png|jpg|jpeg and test/ or val/ likewise) or parquet files "
    "(train*.parquet and test*.parquet or validation*.parquet)"
)


def root_of(data_root: Path | None) -> Path:
    """The folder that holds datasets: the argument, else DSTBENCH_DATA, else ./data."""
    return Path(data_root or os.environ.get("DSTBENCH_DATA") or "data")


def cache_of(cache: Path | None) -> Path:
    """The folder of decoded datasets: the argument, else DSTBENCH_CACHE, else the XDG cache's."""
    if cache or os.environ.get("DSTBENCH_CACHE"):
        return Path(cache or os.environ["DSTBENCH_CACHE"])
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dstbench"


def load(name: str, data_root: Path | None = None, cache: Path | None = None) -> Dataset:
    """The dataset called `name`, decoded now or read from the cache.

    Raises UserError for an unknown id, and for data that is missing, corrupt, empty, half
    downloaded or of several sizes; the message names the file.
    """
    if name == DIGITS:
        return _digits()
    root = root_of(data_root)
    try:
        source = cifar.find(name, root) if name in cifar.ORIGINALS else _source_in(root, name)
        return disk.through(source, name, cache_of(cache))
    except OSError as error:
        raise UserError(f"{name}: {error.filename or root}: {error.strerror}.") from None


def load_encoded(
    name: str, data_root: Path | None = None, cache: Path | None = None
) -> Dataset[EncodedImages]:
    """The dataset called `name`, nothing of it decoded; its images may be of any size.

    Raises UserError for what is missing, corrupt or empty as far as names, sizes and labels tell,
    and for a dataset that is neither an image folder nor parquet files.
    """
    if name == DIGITS or name in cifar.ORIGINALS:
        raise UserError(
            f"{name} has no encoded images to crop from. Use Run.pipeline = @Pipeline(), or a "
            f"dataset that is {LAYOUTS}."
        )
    root = root_of(data_root)
    try:
        found = _layout_in(root, name).find_encoded(root.absolute() / name)
        train, test = found.images(cache_of(cache))
    except OSError as error:
        raise UserError(f"{name}: {error.filename or root}: {error.strerror}.") from None
    return Dataset(name, train, test, found.classes, found.sha256)


def names(data_root: Path | None) -> dict[str, str]:
    """Dataset id → its state in one line. Looks for files, and reads none of them."""
    root = root_of(data_root)
    states = {DIGITS: "embedded: 1,797 handwritten digits of 8×8 pixels (scikit-learn)"}
    states |= {name: cifar.state(name, root) for name in cifar.ORIGINALS}
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        kind = _kind_of(folder)
        if kind is not None and folder.name not in states:
            states[folder.name] = f"found: {kind} at {folder.absolute()}"
    return states


def fetch(name: str, data_root: Path | None) -> Path:
    """Download the original files of `cifar10` or `cifar100`; return the folder that holds them.

    Files that are there and intact are left alone. Raises UserError for any other id, and for a
    download that fails, which leaves nothing behind.
    """
    if name in cifar.ORIGINALS:
        return cifar.fetch(name, root_of(data_root))
    if name == DIGITS:
        raise UserError("digits is embedded in scikit-learn: there is nothing to fetch.")
    raise UserError(
        f"{name!r} cannot be fetched.{did_you_mean(name, cifar.ORIGINALS)} Any other dataset is "
        f"put in {root_of(data_root).absolute() / name} by hand, as {LAYOUTS}."
    )


def _kind_of(folder: Path) -> str | None:
    """What lies in the folder, one of KINDS, or None for neither."""
    return next((kind for kind, layout in KINDS.items() if layout.recognises(folder)), None)


def _source_in(root: Path, name: str) -> Source:
    """The dataset in the folder `name` of root, to be decoded."""
    return _layout_in(root, name).find(root.absolute() / name)


def _layout_in(root: Path, name: str) -> Any:
    """The layout, one of KINDS, of the dataset in the folder `name` of root."""
    folder = root.absolute() / name
    if name in ("", "..") or Path(name).name != name or not folder.is_dir():
        raise UserError(
            f"no dataset {name!r}: {root.absolute()} has no folder of that name."
            f"{did_you_mean(name, names(root))} A dataset of your own is a folder with "
            f"{LAYOUTS}; the folder it stands in is given by --data-root or DSTBENCH_DATA."
        )
    kind = _kind_of(folder)
    if kind is None:
        holds = ", ".join(sorted(p.name for p in folder.iterdir())[:5]) or "nothing"
        raise UserError(f"{folder}: holds {holds}; wanted is {LAYOUTS}.")
    return KINDS[kind]

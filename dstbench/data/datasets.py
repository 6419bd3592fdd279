"""The datasets that a run can name: find, load and download them by id.

A dataset's id is `digits` (embedded), `cifar10` or `cifar100` (exactly the published images, in any
container), or the name of a folder under the data root: an image folder or parquet files. Only
`fetch` downloads anything; decoded pixels are kept in the cache folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dstbench.data.images import Dataset, Shape, Source
from dstbench.data.sources import cache as disk_cache
from dstbench.data.sources import cifar, digits, image_folder, parquet
from dstbench.data.sources.check_encoded import check_test_images
from dstbench.data.sources.digits import DIGITS
from dstbench.data.sources.encoded import EncodedImages, EncodedSource
from dstbench.data.sources.published import PUBLISHED, verified
from dstbench.data.sources.walk import some
from dstbench.errors import UserError, did_you_mean

if TYPE_CHECKING:  # it imports torch
    from dstbench.data.preprocessing import Pipeline


class Known(NamedTuple):
    """Facts about a dataset that need no reading.

    image: shape of an image.
    classes: number of classes.
    """

    image: Shape
    classes: int


class Format(Protocol):
    """A file format of datasets, a module of `sources`."""

    def recognises(self, folder: Path) -> bool: ...

    def find(self, folder: Path, size: int | None = None) -> Source: ...

    def find_encoded(self, folder: Path) -> EncodedSource: ...


# The ids whose images have one shape: `imagenet`'s are the crops of its recipes. No folder of other
# images may take one of the other names.
KNOWN = {
    DIGITS: Known((1, 8, 8), 10),
    "cifar10": Known((3, 32, 32), 10),
    "cifar100": Known((3, 32, 32), 100),
    "imagenet": Known((3, 224, 224), 1000),
}
FORMATS: dict[str, Format] = {"parquet files": parquet, "an image folder": image_folder}
LAYOUTS = (
    "an image folder (train/<class>/*.png|jpg|…, and test/<class>/… or val/<class>/…; or one "
    "folder for each class) or parquet files (train*.parquet, and test*.parquet or "
    "validation*.parquet)"
)


def root_of(data_root: Path | None) -> Path:
    """Return the folder of datasets: the argument, else DSTBENCH_DATA, else ./data."""
    return Path(data_root or os.environ.get("DSTBENCH_DATA") or "data")


def cache_of(cache: Path | None) -> Path:
    """Return the cache folder: the argument, else DSTBENCH_CACHE, else that of XDG_CACHE_HOME."""
    if cache or os.environ.get("DSTBENCH_CACHE"):
        return Path(cache or os.environ["DSTBENCH_CACHE"])
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dstbench"


def load(
    name: str,
    data_root: Path | None = None,
    cache: Path | None = None,
    size: int | None = None,
) -> Dataset:
    """Return the dataset, decoded now or read from the cache.

    name: the dataset's id.
    data_root, cache: see `root_of`, `cache_of`.
    size: scale images to size × size pixels, see `decode`; None for images of one size as they are.

    Raises UserError: when the id is unknown, or the data are missing, corrupt, empty, half
        downloaded or of several sizes, the message naming the file; and when the id is one of
        PUBLISHED and an image or a label is not the published one, or is to be scaled.
    """
    if name in (DIGITS, *PUBLISHED) and size not in (None, KNOWN[name].image[1]):
        raise UserError(
            f"{name} is used as published, in {KNOWN[name].image[1]} × {KNOWN[name].image[2]} "
            f"pixels, not scaled to {size}. Take a recipe for it (`dstbench list recipes`), or "
            f"--set ResizedPipeline.size={KNOWN[name].image[1]}."
        )
    if name == DIGITS:
        return digits.load()
    root = root_of(data_root)
    with _readable(name, root):
        if name in PUBLISHED:
            source, _ = _published_in(root, name)
        else:
            source = _format_in(root, name).find(root.absolute() / name, size)
        return disk_cache.load_or_build(source, name, cache_of(cache))


def load_encoded(
    name: str, data_root: Path | None = None, cache: Path | None = None
) -> Dataset[EncodedImages]:
    """Return the dataset with its images not decoded; they may be of any size.

    name: the dataset's id.
    data_root, cache: see `root_of`, `cache_of`.

    Every test image is decoded once, so that a broken one is found before anything is trained.

    Raises UserError: when the id is unknown or of a dataset without encoded images, when the data
        are missing, corrupt or empty as far as names, sizes and labels show, and when a test image
        cannot be decoded.
    """
    if name == DIGITS or name in PUBLISHED:
        raise UserError(
            f"{name} is used decoded, without images to crop from. Use Run.pipeline = @Pipeline(), "
            f"or a dataset that is {LAYOUTS}."
        )
    root = root_of(data_root)
    with _readable(name, root):
        found = _format_in(root, name).find_encoded(root.absolute() / name)
        train, test = found.images(cache_of(cache))
    check_test_images(test, found.sha256, cache_of(cache))
    return Dataset(name, train, test, found.classes, found.sha256, found.notes)


def load_images(
    name: str, pipeline: "Pipeline", data_root: Path | None = None, cache: Path | None = None
) -> Dataset[Any]:
    """Return the dataset as a pipeline wants it: decoded or not, and scaled.

    name: the dataset's id.
    data_root, cache: see `root_of`, `cache_of`.

    Raises UserError: as `load` or `load_encoded`.
    """
    if not pipeline.decoded:
        return load_encoded(name, data_root, cache)
    return load(name, data_root, cache, pipeline.scaled_to)


def names(data_root: Path | None, cache: Path | None = None) -> dict[str, str]:
    """Return dataset id → its state in one line. Decodes nothing.

    data_root, cache: see `root_of`, `cache_of`.
    """
    root = root_of(data_root)
    states = {DIGITS: "embedded: 1,797 handwritten digits of 8×8 pixels (scikit-learn)"}
    states |= {name: _published_state(root, name, cache_of(cache)) for name in PUBLISHED}
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name in states:
            continue
        try:
            kind = _kind_of(folder)
        except OSError as error:
            states[folder.name] = f"not found: {error.filename}: {error.strerror}"
            continue
        if kind is not None:
            states[folder.name] = f"found: {kind} at {folder.absolute()}"
    return states


def fetch(name: str, data_root: Path | None) -> Path:
    """Download the original files of `cifar10` or `cifar100`; return their folder.

    Intact files are not downloaded again.

    Raises UserError: when the id is another one, or the download fails, which leaves no files.
    """
    if name in cifar.ORIGINALS:
        return cifar.fetch(name, root_of(data_root))
    if name == DIGITS:
        raise UserError("digits is embedded in scikit-learn: there is nothing to fetch.")
    raise UserError(
        f"{name!r} cannot be fetched.{did_you_mean(name, cifar.ORIGINALS)} Put any other dataset "
        f"in {root_of(data_root).absolute() / name} yourself, as {LAYOUTS}."
    )


@contextmanager
def _readable(name: str, root: Path) -> Iterator[None]:
    """Turn an OSError into a UserError that names the dataset and the file."""
    try:
        yield
    except OSError as error:
        path = Path(error.filename or root)
        remedy = " It is a link to what is not there. Copy it, or remove the link."
        raise UserError(
            f"{name}: {path}: {error.strerror}.{remedy if path.is_symlink() else ''}"
        ) from None


def _published_in(root: Path, name: str) -> tuple[Source, str]:
    """Return one of PUBLISHED, to be verified when decoded, and its container in words.

    Raises UserError: when root has the dataset in no container.
    """
    original, folder = cifar.folder_of(name, root), root.absolute() / name
    if original is not None:
        return verified(cifar.find(name, original), name, original), f"original files at {original}"
    kind = _kind_of(folder)
    if kind is None:
        raise UserError(f"{name}: {cifar.missing(name, root)}.")
    return verified(FORMATS[kind].find(folder), name, folder), f"{kind} at {folder}"


def _published_state(root: Path, name: str, cache: Path) -> str:
    """Return the state of one of PUBLISHED in one line: whether found, and whether verified."""
    try:
        with _readable(name, root):
            source, container = _published_in(root, name)
    except UserError as error:
        return f"not found: {error.message.removeprefix(f'{name}: ')}"
    if disk_cache.has(source, name, cache):
        return f"found, exactly {PUBLISHED[name].title}: {container}"
    return f"found, not verified yet (`dstbench data prepare {name}` does): {container}"


def _kind_of(folder: Path) -> str | None:
    """Return which of FORMATS the folder has, None for neither."""
    return next((kind for kind, format in FORMATS.items() if format.recognises(folder)), None)


def _format_in(root: Path, name: str) -> Format:
    """Return the format of the dataset in the folder `name` of root.

    Raises UserError: when there is no such folder, or it has neither format.
    """
    folder = root.absolute() / name
    if name in ("", "..") or Path(name).name != name or not folder.is_dir():
        here = f" There is one here: give it as ./{name}." if name and Path(name).is_dir() else ""
        raise UserError(
            f"no dataset {name!r}: {root.absolute()} has no folder of that name.{here}"
            f"{did_you_mean(name, names(root))} Your own dataset is {LAYOUTS}: give its path, "
            "with a slash, as --dataset; or its parent folder with --data-root or "
            "DSTBENCH_DATA."
        )
    kind = _kind_of(folder)
    if kind is None:
        content = some(sorted(p.name for p in folder.iterdir())) or "nothing"
        raise UserError(f"{folder}: contains {content}; expected {LAYOUTS}.")
    return FORMATS[kind]

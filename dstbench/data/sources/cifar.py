"""CIFAR-10 and CIFAR-100 in their authors' files: found, decoded, downloaded.

The files are Python pickles, which can execute code: here only numpy arrays and plain values are
read. The layout is torchvision's. Source: Krizhevsky 2009.
"""

import contextlib
import hashlib
import os
import pickle
import tempfile
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from dstbench.data.images import Images, Source
from dstbench.data.sources.published import verified
from dstbench.errors import UserError
from dstbench.utils.files import sha256_of

# What a pickled numpy array needs, of numpy 1 and 2, and of Python 2 and 3.
ARRAY_PARTS = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


@dataclass(frozen=True)
class Original:
    """The files of one published dataset.

    loader: the class of torchvision.datasets that downloads it.
    folder: name of the folder of its files.
    train, test: files of training and test images.
    meta: file of class names.
    labels_key, names_key: keys of labels and class names in the files.
    """

    loader: str
    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    labels_key: str
    names_key: str

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.train, self.test, self.meta)


ORIGINALS = {
    "cifar10": Original(
        loader="CIFAR10",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test="test_batch",
        meta="batches.meta",
        labels_key="labels",
        names_key="label_names",
    ),
    "cifar100": Original(
        loader="CIFAR100",
        folder="cifar-100-python",
        train=("train",),
        test="test",
        meta="meta",
        labels_key="fine_labels",
        names_key="fine_label_names",
    ),
}


def folder_of(name: str, root: Path) -> Path | None:
    """Return the folder of the dataset's files, None if no folder has all of them.

    Looked for are, below the data root, torchvision's folder, and the folder `name`.
    """
    original = ORIGINALS[name]
    root = root.absolute()
    for folder in (root / original.folder, root / name / original.folder, root / name):
        if all((folder / file).is_file() for file in original.files):
            return folder
    return None


def missing(name: str, root: Path) -> str:
    """Return what of the dataset's files is missing, and the remedy."""
    original, folder = ORIGINALS[name], root.absolute() / ORIGINALS[name].folder
    lacking = [file for file in original.files if not (folder / file).is_file()]
    what = f"{folder / lacking[0]} is missing" if folder.is_dir() and lacking else f"no {folder}"
    return (
        f"{what}: `dstbench data fetch {name}` downloads it; or give the folder that contains "
        f"{original.folder}, or a folder {name} of parquet files or images, with --data-root or "
        "DSTBENCH_DATA"
    )


def find(name: str, folder: Path) -> Source:
    """Return the dataset `name` of the files in `folder`; its key hashes their content.

    Decoding raises UserError: when a file is damaged.
    """
    digest = hashlib.sha256()
    for file in ORIGINALS[name].files:
        digest.update(f"{file}\0{sha256_of(folder / file)}\n".encode())
    return Source(digest.hexdigest(), lambda: _decode(name, folder))


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays and plain values; refuses every other class and function."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it contains {module}.{name}")
        return super().find_class(module, name)


def _decode(name: str, folder: Path) -> tuple[Images, Images, tuple[str, ...]]:
    """Return training images, test images and class names."""
    original = ORIGINALS[name]

    def images(*files: str) -> Images:
        planes: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        for file in files:
            part = _unpickled(name, folder / file)
            try:
                planes.append(np.asarray(part["data"], np.uint8).reshape(-1, 3, 32, 32))
                labels.append(np.asarray(part[original.labels_key], np.int64))
            except (KeyError, ValueError, TypeError, OverflowError) as error:
                raise _damaged(name, folder / file, error) from None
        pixels = np.concatenate(planes).transpose(0, 2, 3, 1)
        return Images(np.ascontiguousarray(pixels), np.concatenate(labels))

    meta = _unpickled(name, folder / original.meta)
    classes = tuple(map(str, meta.get(original.names_key, ())))
    return images(*original.train), images(original.test), classes


def _unpickled(name: str, path: Path) -> dict[str, Any]:
    """Return the content of one file. Raises UserError: when it is damaged."""
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except OSError as error:
        raise UserError(f"{name}: {path} cannot be read ({error.strerror}).") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise _damaged(name, path, error) from None
    if not isinstance(content, dict):
        raise _damaged(name, path, f"it contains a {type(content).__name__}")
    return content


def _damaged(name: str, path: Path, reason: object) -> UserError:
    return UserError(
        f"{name}: {path} is corrupt or half downloaded ({path.stat().st_size:,} bytes; {reason}). "
        f"`dstbench data fetch {name}` downloads it again."
    )


def fetch(name: str, root: Path) -> Path:
    """Download the dataset with torchvision; return its folder.

    Files are downloaded to a temporary folder, checked and moved, so that a failure leaves none
    behind. If the files are present and every image is the published one, nothing is downloaded.

    Raises UserError: when the download fails.
    """
    original = ORIGINALS[name]
    folder = root.absolute() / original.folder
    if _is_exact(name, folder):
        return folder
    import torchvision

    created = [parent for parent in (root, *root.parents) if not parent.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
            getattr(torchvision.datasets, original.loader)(temporary, download=True)
            downloaded = Path(temporary) / original.folder
            verified(find(name, downloaded), name, downloaded).decode()
            folder.mkdir(exist_ok=True)
            for file in original.files:
                os.replace(downloaded / file, folder / file)
    except (OSError, RuntimeError, HTTPException, UserError) as error:
        with contextlib.suppress(OSError):
            for parent in created:
                parent.rmdir()
        raise UserError(
            f"{name} could not be fetched into {root.absolute()}: {error}. Check the network and "
            f"the free space, or copy {original.folder} there from a machine that has it."
        ) from None
    return folder


def _is_exact(name: str, folder: Path) -> bool:
    """Return whether the folder has the files, with the published images."""
    try:
        verified(find(name, folder), name, folder).decode()
    except (OSError, UserError):
        return False
    return True

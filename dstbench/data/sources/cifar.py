"""CIFAR-10 and CIFAR-100 in their authors' files: verified, decoded, downloaded.

The files are Python pickles, which can execute code, so none is opened before its MD5 matches.
Layout and checksums are those of torchvision. Source: Krizhevsky 2009.
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
from dstbench.errors import UserError


@dataclass(frozen=True)
class Original:
    """One published dataset.

    loader: the class of torchvision.datasets that downloads it.
    folder: name of the folder of its files.
    train, test: file → MD5, of training and test images.
    meta: file → MD5, of class names.
    labels_key, names_key: keys of labels and class names in the files.
    """

    loader: str
    folder: str
    train: dict[str, str]
    test: dict[str, str]
    meta: dict[str, str]
    labels_key: str
    names_key: str

    @property
    def files(self) -> dict[str, str]:
        return self.train | self.test | self.meta


ORIGINALS = {
    "cifar10": Original(
        loader="CIFAR10",
        folder="cifar-10-batches-py",
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        meta={"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"},
        labels_key="labels",
        names_key="label_names",
    ),
    "cifar100": Original(
        loader="CIFAR100",
        folder="cifar-100-python",
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        meta={"meta": "7973b15100ade9c7d40fb424638fde48"},
        labels_key="fine_labels",
        names_key="fine_label_names",
    ),
}


def find(name: str, root: Path) -> Source:
    """Return the dataset `name` under root, its files verified.

    Raises UserError: when a file is missing or not the published one.
    """
    original = ORIGINALS[name]
    for file in original.files:
        _verified(name, root, file)
    key = hashlib.sha256(repr(sorted(original.files.items())).encode()).hexdigest()
    return Source(key, lambda: _decode(name, root))


def state(name: str, root: Path) -> str:
    """Return in one line whether the files are present, without reading them."""
    original = ORIGINALS[name]
    folder = root.absolute() / original.folder
    missing = [file for file in original.files if not (folder / file).is_file()]
    if not missing:
        return f"found at {folder}"
    lacking = f"{folder} lacks {missing[0]}" if folder.is_dir() else f"no {folder}"
    return f"not found ({lacking}): {_remedy(name)}"


def _remedy(name: str) -> str:
    return (
        f"`dstbench data fetch {name}` downloads it; or give the folder that contains "
        f"{ORIGINALS[name].folder} with --data-root or DSTBENCH_DATA"
    )


def _verified(name: str, root: Path, file: str) -> bytes:
    """Return the content of one file. Raises UserError: when its MD5 is not the published one."""
    path = root.absolute() / ORIGINALS[name].folder / file
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{name}: {path} is missing. {_remedy(name)}.") from None
    except OSError as error:
        raise UserError(f"{name}: {path} cannot be read ({error.strerror}).") from None
    digest, expected = hashlib.md5(content).hexdigest(), ORIGINALS[name].files[file]
    if digest != expected:
        raise UserError(
            f"{name}: {path} is corrupt or half downloaded: {len(content):,} bytes with MD5 "
            f"{digest}, where the published file has {expected}. {_remedy(name)}."
        )
    return content


def _decode(name: str, root: Path) -> tuple[Images, Images, tuple[str, ...]]:
    """Return training images, test images and class names."""
    original = ORIGINALS[name]

    def unpickled(file: str) -> dict[str, Any]:
        return pickle.loads(_verified(name, root, file), encoding="latin1")

    def images(files: dict[str, str]) -> Images:
        parts = [unpickled(file) for file in files]
        planes = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([part[original.labels_key] for part in parts]).astype(np.int64)
        return Images(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)

    classes = [names for file in original.meta for names in unpickled(file)[original.names_key]]
    return images(original.train), images(original.test), tuple(classes)


def fetch(name: str, root: Path) -> Path:
    """Download the dataset with torchvision; return its folder.

    Files are downloaded to a temporary folder and moved, so that a failure leaves none behind.

    Raises UserError: when the download fails.
    """
    original = ORIGINALS[name]
    folder = root.absolute() / original.folder
    try:
        find(name, root)
    except UserError:
        pass
    else:
        return folder
    import torchvision

    created = [parent for parent in (root, *root.parents) if not parent.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as temporary:
            getattr(torchvision.datasets, original.loader)(temporary, download=True)
            find(name, Path(temporary))
            folder.mkdir(exist_ok=True)
            for file in original.files:
                os.replace(Path(temporary) / original.folder / file, folder / file)
    except (OSError, RuntimeError, HTTPException, UserError) as error:
        with contextlib.suppress(OSError):
            for parent in created:
                parent.rmdir()
        raise UserError(
            f"{name} could not be fetched into {root.absolute()}: {error}. Check the network and "
            f"the free space, or copy {original.folder} there from a machine that has it."
        ) from None
    return folder

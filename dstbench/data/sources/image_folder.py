"""Image folders: X/train/<class>/*.png|jpg|jpeg, and X/test/<class>/… or X/val/<class>/…"""

import hashlib
import os
from pathlib import Path

import numpy as np

from dstbench.data.images import Source
from dstbench.data.sources.decode import EncodedImage, decode_splits
from dstbench.data.sources.encoded import EncodedImages, EncodedSource, ImageFiles
from dstbench.errors import UserError

ENDINGS = (".jpeg", ".jpg", ".png")
TEST_FOLDERS = ("test", "val")

Found = tuple[list[Path], np.ndarray]  # the files of a split, and their int64 labels (n,)


def recognises(folder: Path) -> bool:
    """Return whether the folder looks like an image folder."""
    return (folder / "train").is_dir()


def find(folder: Path) -> Source:
    """Return the dataset in `folder`, classes in the order of their names.

    Its key hashes paths, sizes and modification times: reading every file costs nearly as much as
    decoding it.

    Raises UserError: when a folder is missing, empty or of an unknown class; the message names it.
    """
    (train, train_labels), (test, test_labels), classes = _found(folder)
    digest = hashlib.sha256(repr(classes).encode())
    for path in train + test:
        stat = path.stat()
        relative = path.relative_to(folder)
        digest.update(f"{relative}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    splits = [
        ([EncodedImage(path, str(path)) for path in paths], labels)
        for paths, labels in ((train, train_labels), (test, test_labels))
    ]
    return Source(digest.hexdigest(), lambda: (*decode_splits(*splits), classes))


def find_encoded(folder: Path) -> EncodedSource:
    """Return the dataset in `folder`, its images not decoded.

    Its sha256 is of class names, and of every image's path and size, so that copies of the folder
    have the same. Raises UserError: as `find`.
    """
    *splits, classes = _found(folder)
    digest = hashlib.sha256(repr(classes).encode())
    images = []
    for paths, labels in splits:
        names = [os.path.relpath(path, folder).encode() for path in paths]
        for path, name in zip(paths, names, strict=True):
            digest.update(b"%s\0%d\n" % (name, path.stat().st_size))
        images.append(EncodedImages(ImageFiles(folder, np.array(names)), labels))
    train, test = images
    return EncodedSource(classes, digest.hexdigest(), lambda cache: (train, test))


def _found(folder: Path) -> tuple[Found, Found, tuple[str, ...]]:
    """Return training files, test files, and the class names."""
    present = [folder / name for name in TEST_FOLDERS if (folder / name).is_dir()]
    if not present:
        raise UserError(f"{folder}: has train/ but neither test/ nor val/. Add the test images.")
    classes = tuple(_subfolders(folder / "train"))
    unknown = sorted(set(_subfolders(present[0])) - set(classes))
    if unknown:
        raise UserError(
            f"{present[0] / unknown[0]}: no such class in {folder / 'train'}, which has "
            f"{', '.join(classes[:10])}{', …' if len(classes) > 10 else ''}."
        )
    train = _class_folders(folder / "train", classes)
    return train, _class_folders(present[0], classes), classes


def _subfolders(folder: Path) -> list[str]:
    found = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not found:
        raise UserError(f"{folder}: is empty; expected one folder of images for each class.")
    return found


def _class_folders(folder: Path, classes: tuple[str, ...]) -> Found:
    images: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            raise UserError(
                f"{folder / name} is missing, and {name} is a class of the training set."
            )
        paths = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in ENDINGS)
        if not paths:
            raise UserError(
                f"{folder / name}: contains no image ({', '.join(ENDINGS)}). Add the images "
                "of this class, or remove the folder everywhere."
            )
        images += paths
        labels += [label] * len(paths)
    return images, np.array(labels, dtype=np.int64)

"""Image folders: X/train/<class>/…, with X/test/<class>/… or X/val/<class>/…; or X/<class>/….

The folder of a class is walked as torchvision's ImageFolder does, see `walk`. A split may have a
text file of its classes instead of class folders, see `annotations`.
"""

import hashlib
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dstbench.data.images import Images, Source
from dstbench.data.sources.annotations import annotated_images, annotations_of
from dstbench.data.sources.choose_test import absent_classes, choose_test, hold_out
from dstbench.data.sources.decode import EncodedImage, decode_splits
from dstbench.data.sources.encoded import EncodedImages, EncodedSource, ImageFiles
from dstbench.data.sources.split_names import split_of_folder
from dstbench.data.sources.walk import (
    ENDINGS,
    PassedOver,
    files_in,
    holds_images,
    images_below,
    is_image,
    some,
    subfolders,
)
from dstbench.errors import UserError
from dstbench.utils.printable import printable


class Files(NamedTuple):
    """The files of a split, and their int64 labels (n,)."""

    paths: list[Path]
    labels: np.ndarray


class Found(NamedTuple):
    """An image folder: its splits, class names, and what the user should know about the choice."""

    train: Files
    test: Files
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def recognises(folder: Path) -> bool:
    """Return whether the folder looks like an image folder."""
    if not folder.is_dir():
        return False
    below = subfolders(folder)
    return any(split_of_folder(p.name) == "train" for p in below) or any(map(holds_images, below))


def find(folder: Path, size: int | None = None) -> Source:
    """Return the dataset in `folder`, classes in the order of their names.

    Its key hashes paths, sizes and modification times: reading every file costs nearly as much as
    decoding it.

    size: see `decode`.

    Raises UserError: when a folder is missing, empty or of an unknown class; the message names it.
    """
    found = _found(folder)
    digest = hashlib.sha256(repr((found.classes, size)).encode())
    for split in (found.train, found.test):
        digest.update(split.labels.tobytes())
        for path in split.paths:
            stat = path.stat()
            digest.update(_name(path, folder) + b"\0%d\0%d\n" % (stat.st_size, stat.st_mtime_ns))
    train, test = (
        ([EncodedImage(path, str(path)) for path in split.paths], split.labels)
        for split in (found.train, found.test)
    )

    def decode_all() -> tuple[Images, Images, tuple[str, ...]]:
        return (*decode_splits(train, test, size), found.classes)

    return Source(digest.hexdigest(), decode_all, notes=found.notes)


def find_encoded(folder: Path) -> EncodedSource:
    """Return the dataset in `folder`, its images not decoded.

    Its sha256 is of class names, of every image's path and size, and of the text files of classes,
    so that copies of the folder have the same. Raises UserError: as `find`.
    """
    found = _found(folder)
    digest = hashlib.sha256(repr(found.classes).encode())
    for annotations in filter(None, map(annotations_of, subfolders(folder))):
        digest.update(annotations.read_bytes())
    images = []
    for split in (found.train, found.test):
        names = [_name(path, folder) for path in split.paths]
        for path, name in zip(split.paths, names, strict=True):
            digest.update(b"%s\0%d\n" % (name, path.stat().st_size))
        images.append(EncodedImages(ImageFiles(folder, np.array(names)), split.labels))
    train, test = images
    return EncodedSource(
        found.classes, digest.hexdigest(), lambda cache: (train, test), found.notes
    )


def _name(path: Path, folder: Path) -> bytes:
    """Return the path below the folder; names on disk need not be valid text."""
    return os.fsencode(os.path.relpath(path, folder))


def _found(folder: Path) -> Found:
    """Return the splits and classes of an image folder."""
    passed_over = PassedOver(folder)
    splits = _split_folders(folder)
    if splits and "train" not in splits:
        raise UserError(
            f"{folder}: has {', '.join(f'{path.name}/' for path in splits.values())} but no "
            "train/. Add the training images."
        )
    training = _class_folders(splits.get("train", folder), passed_over)
    classes = tuple(training)
    train = _labelled(training, classes)
    candidates = {split: splits[split] for split in ("test", "val") if split in splits}
    chosen, notes = choose_test(
        folder,
        {split: _has_labels(path, classes) for split, path in candidates.items()},
        {split: f"{path.name}/" for split, path in candidates.items()},
    )
    if chosen is None:
        indices = hold_out(folder, train.labels)
        train, test = (Files([train.paths[i] for i in k], train.labels[k]) for k in indices)
    else:
        test = _test_files(splits[chosen], splits["train"], classes, passed_over)
        notes += absent_classes(f"{splits[chosen].name}/", test.labels, classes)
    if splits:
        notes += _unused(folder, set(splits.values()))
    shown = tuple(map(printable, classes))
    return Found(train, test, shown, (*notes, *passed_over.notes()))


def _split_folders(folder: Path) -> dict[str, Path]:
    """Return 'train', 'test', 'val' → folder, of those that are there."""
    splits: dict[str, Path] = {}
    for path in subfolders(folder):
        split = split_of_folder(path.name)
        if split in splits:
            raise UserError(
                f"{folder}: both {splits[split].name}/ and {path.name}/ are {split} images. "
                "Join them, or remove one."
            )
        if split is not None:
            splits[split] = path
    return splits


def _class_folders(folder: Path, passed_over: PassedOver) -> dict[str, list[Path]]:
    """Return class name → its images. Names of equal characters are equal, however encoded."""
    found: dict[str, list[Path]] = {}
    for path in subfolders(folder):
        name = unicodedata.normalize("NFC", path.name)
        if name in found:
            raise UserError(f"{path}: is a second folder of this name, in another encoding.")
        found[name] = images_below(path, passed_over)
        if not found[name]:
            raise UserError(
                f"{path}: contains no image ({', '.join(ENDINGS)}). Add the images of this "
                "class, or remove the folder everywhere."
            )
    outside = files_in(folder)
    if not found:
        what = f"contains no folders but {some([path.name for path in outside])}"
        raise UserError(
            f"{folder}: {what if outside else 'is empty'}; expected one folder of images for each "
            "class."
        )
    for path in outside:
        passed_over.add(path)
    return dict(sorted(found.items()))


def _has_labels(split: Path, classes: tuple[str, ...]) -> bool:
    """Return whether a split has classes: not if all images are in it or in one other folder."""
    names = [unicodedata.normalize("NFC", path.name) for path in subfolders(split)]
    return annotations_of(split) is not None or len(names) > 1 or not set(names).isdisjoint(classes)


def _test_files(
    split: Path, training: Path, classes: tuple[str, ...], passed_over: PassedOver
) -> Files:
    """Return the images of a split, whose classes must be those of the training images."""
    file = annotations_of(split)
    if file is None:
        images = _class_folders(split, passed_over)
    else:
        images = annotated_images(split, file, passed_over)
    if unknown := sorted(set(images) - set(classes)):
        raise UserError(
            f"{split / unknown[0]}: no such class in {training}, which has {some(classes)}."
        )
    return _labelled(images, classes)


def _labelled(images: Mapping[str, list[Path]], classes: tuple[str, ...]) -> Files:
    paths = [path for name in classes for path in images.get(name, [])]
    counts = [len(images.get(name, [])) for name in classes]
    return Files(paths, np.repeat(np.arange(len(classes), dtype=np.int64), counts))


def _unused(folder: Path, splits: set[Path]) -> list[str]:
    """Return a note about images in `folder` that are in no split."""
    unused = [f"{p.name}/" for p in subfolders(folder) if p not in splits and holds_images(p)]
    unused += [path.name for path in files_in(folder) if is_image(path.name)]
    if not unused:
        return []
    return [f"not used: {some(unused)}."]

"""Image folders: X/train/<class>/*.png|jpg|jpeg, and X/test/<class>/… or X/val/<class>/… ."""

import hashlib
from pathlib import Path

import numpy as np

from dstbench.decode import Encoded, Split, decode_both
from dstbench.errors import UserError
from dstbench.images import Source

ENDINGS = (".jpeg", ".jpg", ".png")
TEST_FOLDERS = ("test", "val")


def recognises(folder: Path) -> bool:
    return (folder / "train").is_dir()


def find(folder: Path) -> Source:
    """The dataset in `folder`, classes in the order of their names.

    Its key hashes paths, sizes and modification times: reading every file costs nearly as much as
    decoding it. Raises UserError, naming the folder, for what is missing, empty or of no class.
    """
    present = [folder / name for name in TEST_FOLDERS if (folder / name).is_dir()]
    if not present:
        raise UserError(f"{folder}: has train/ but neither test/ nor val/. Add the test images.")
    classes = tuple(_subfolders(folder / "train"))
    strangers = sorted(set(_subfolders(present[0])) - set(classes))
    if strangers:
        raise UserError(
            f"{present[0] / strangers[0]}: no such class in {folder / 'train'}, which has "
            f"{', '.join(classes[:10])}{', …' if len(classes) > 10 else ''}."
        )
    train = _class_folders(folder / "train", classes)
    test = _class_folders(present[0], classes)
    digest = hashlib.sha256(repr(classes).encode())
    for image in train[0] + test[0]:
        stat = Path(image.where).stat()
        relative = Path(image.where).relative_to(folder)
        digest.update(f"{relative}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return Source(digest.hexdigest(), lambda: (*decode_both(train, test), classes))


def _subfolders(folder: Path) -> list[str]:
    found = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not found:
        raise UserError(f"{folder}: is empty; wanted is one folder of images for each class.")
    return found


def _class_folders(folder: Path, classes: tuple[str, ...]) -> Split:
    images, labels = [], []
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            raise UserError(
                f"{folder / name} is missing, and {name} is a class of the training set."
            )
        paths = sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in ENDINGS)
        if not paths:
            raise UserError(
                f"{folder / name}: holds no image ({', '.join(ENDINGS)}). Add the images "
                "of this class, or remove the folder everywhere."
            )
        images += [Encoded(path, str(path)) for path in paths]
        labels += [label] * len(paths)
    return images, np.array(labels, dtype=np.int64)

"""Walks folders of images as torchvision's ImageFolder does, and counts what it passes over.

Subfolders are entered at any depth, and links are followed. Hidden files and folders are skipped:
macOS, for one, writes a hidden `._x.png` beside x.png.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dstbench.errors import UserError

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
MACOS = "__MACOSX"  # of archives made on macOS; it has hidden files only


@dataclass
class PassedOver:
    """The files that a walk does not use, as their names are not those of images.

    root: the dataset's folder; messages name files below it.
    """

    root: Path
    first: Path | None = None
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path) -> None:
        self.first = self.first or path
        self.endings[path.suffix.lower() or "no ending"] += 1

    def notes(self) -> list[str]:
        """Return one line about the files; none without any."""
        if self.first is None:
            return []
        kinds = ", ".join(f"{ending}: {count:,}" for ending, count in sorted(self.endings.items()))
        return [
            f"passed over {self.endings.total():,} files that do not end like images ({kinds}), "
            f"such as {self.first.relative_to(self.root)}; images are {', '.join(ENDINGS)}."
        ]


def some(names: Sequence[str]) -> str:
    """Return up to ten of the names in one line."""
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is skipped without a word."""
    return name.startswith(".") or name == MACOS


def is_image(name: str) -> bool:
    """Return whether a file of this name is taken for an image."""
    return name.lower().endswith(ENDINGS)


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in `folder`, in the order of their names."""
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not is_hidden(e.name) and e.is_dir())


def files_in(folder: Path) -> list[Path]:
    """Return the visible files in `folder` itself, in the order of their names."""
    with os.scandir(folder) as entries:
        return sorted(Path(e.path) for e in entries if not is_hidden(e.name) and not e.is_dir())


def images_below(folder: Path, passed_over: PassedOver) -> list[Path]:
    """Return the images in `folder` and in its subfolders, folder by folder, in order of names.

    passed_over: counts the other files.

    Raises UserError: for a link to a folder above it, which would be entered without end.
    """
    images = []
    for root, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in folders:
            _refuse_circle(root, os.path.join(root, name))
        for path in (Path(root, name) for name in sorted(files) if not is_hidden(name)):
            if is_image(path.name):
                images.append(path)
            else:
                passed_over.add(path)
    return images


def holds_images(folder: Path, depth: int = 3) -> bool:
    """Return whether there is an image in `folder`, or in its subfolders down to a depth."""
    if any(is_image(path.name) for path in files_in(folder)):
        return True
    return depth > 0 and any(holds_images(path, depth - 1) for path in subfolders(folder))


def _refuse_circle(root: str, path: str) -> None:
    if os.path.islink(path):
        target = os.path.realpath(path)
        if os.path.commonpath([target, os.path.realpath(root)]) == target:
            raise UserError(f"{path} links to {target}, a folder above it. Remove the link.")


def _raise(error: OSError) -> None:
    raise error

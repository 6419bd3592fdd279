"""Splits whose images lie in one folder, with their classes in a text file.

As in Tiny ImageNet, where val/val_annotations.txt has a line for each file in val/images/: its name
and its class, then a box around the object, separated by tabs.
"""

from pathlib import Path

from dstbench.data.sources.walk import PassedOver, images_below
from dstbench.errors import UserError


def annotations_of(split: Path) -> Path | None:
    """Return the text file of a split's folder, None if it has none."""
    path = split / f"{split.name}_annotations.txt"
    return path if path.is_file() else None


def annotated_images(split: Path, file: Path, passed_over: PassedOver) -> dict[str, list[Path]]:
    """Return class name → its images, in the order of their names.

    split: its folder; the images are in its subfolder `images`, or in itself.
    file: its text file.
    passed_over: counts files that are no images.

    Raises UserError: when a line cannot be read, or file and images do not match.
    """
    classes: dict[str, str] = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except ValueError:
        raise UserError(f"{file}: is no text in UTF-8.") from None
    for number, line in enumerate(lines, start=1):
        name, *further = line.split("\t")
        if not line.strip():
            continue
        if not further or name in classes:
            fault = "names an image for the second time" if further else "has no tab"
            raise UserError(f"{file}:{number} {fault}; expected NAME, a tab, CLASS: {line[:60]!r}.")
        classes[name] = further[0].strip()
    folder = split / "images" if (split / "images").is_dir() else split
    found: dict[str, list[Path]] = {}
    for path in images_below(folder, passed_over):
        if path.name not in classes:
            raise UserError(f"{path} has no line in {file}. Add its class, or remove the image.")
        found.setdefault(classes.pop(path.name), []).append(path)
    if classes:
        raise UserError(
            f"{folder / next(iter(classes))} is missing, and {file} has its class (one of "
            f"{len(classes):,} such lines). Copy or unpack the images again."
        )
    if not found:
        raise UserError(
            f"{file}: has no line, and {folder} no image. Copy or unpack them again, or remove "
            f"{split}."
        )
    return found

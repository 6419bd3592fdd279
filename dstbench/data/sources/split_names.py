"""Which split of a dataset a folder or a file holds, by its name."""

from pathlib import Path

SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation", "dev"),
}


def split_of_folder(name: str) -> str | None:
    """Return 'train', 'test' or 'val'; None for the name of another folder.

    Capitals do not matter, and neither does the `partial-` that dataset hubs put before a split.
    """
    name = name.lower().removeprefix("partial-")
    return next((split for split, names in SPLITS.items() if name in names), None)


def split_of_file(path: Path) -> str | None:
    """Return the split with which the file's name begins; None for another file."""
    beginnings = {"train": ("train",), "test": ("test",), "val": ("val", "dev")}
    stem = path.stem.lower()
    return next((s for s, words in beginnings.items() if stem.startswith(words)), None)

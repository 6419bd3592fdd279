"""Labels of parquet files: whole numbers or text of any values, numbered as classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dstbench.data.sources.parquet_columns import (
    class_names,
    label_column,
    label_values,
    read_table,
)
from dstbench.data.sources.walk import some
from dstbench.errors import UserError

UNLABELLED = -1  # the label of rows without one, on dataset hubs


@dataclass(frozen=True)
class SplitLabels:
    """The labels of a split's files, as they are stored.

    files: its files.
    counts: rows of each file.
    values: (n,), int64 or text, of all rows.
    names: class names, if the files have them; a label is an index into them.
    notes: how their column was found, if not by its name alone.
    """

    files: Sequence[Path]
    counts: Sequence[int]
    values: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        return self.values.dtype == object

    def where(self, row: int) -> str:
        """Return the file and row, from 0, of a row of the split."""
        ends = np.cumsum(self.counts)
        i = int(np.searchsorted(ends, row, side="right"))
        return f"{self.files[i]}, row {row - int(ends[i]) + self.counts[i]}"


def read_labels(files: Sequence[Path]) -> SplitLabels:
    """Return the labels of a split's files.

    Raises UserError: when there are no rows, or some have no label, or one of another type.
    """
    names: tuple[str, ...] = ()
    parts: list[np.ndarray] = []
    notes: list[str] = []
    for path in files:
        column, note = label_column(path)
        table = read_table(path, [column])
        parts.append(label_values(path, table[column]))
        names = names or class_names(table.schema.metadata, column)
        notes += [note] if note and note not in notes else []
    counts = [len(part) for part in parts]
    if not sum(counts):
        raise UserError(f"{files[0]} has no rows. Download it again.")
    if len({part.dtype for part in parts}) > 1:
        raise UserError(
            f"{files[0].parent}: the labels of some files are text, those of others whole numbers. "
            "Give all of them labels of one type."
        )
    return SplitLabels(files, counts, np.concatenate(parts), names, tuple(notes))


def is_labelled(split: SplitLabels, train: SplitLabels) -> bool:
    """Return whether a test split has labels: not if they all are -1, and no training label is."""
    return (split.values != UNLABELLED).any() or bool((train.values == UNLABELLED).any())


def classes_of(train: SplitLabels) -> tuple[str, ...]:
    """Return the class names: those of the files, else the labels of the training images, sorted.

    Raises UserError: when labels of -1 are those of rows without a label.
    """
    if train.names and not train.is_text:
        return train.names
    used = np.unique(train.values)
    unlabelled = np.flatnonzero(train.values == UNLABELLED)
    if len(unlabelled) and (0 in used or len(used) == 1):
        raise UserError(
            f"{train.where(int(unlabelled[0]))} has label -1, which stands for no label "
            f"({len(unlabelled):,} training rows have it). Remove these rows, or label them."
        )
    return tuple(map(str, used))


def numbering_note(train: SplitLabels, classes: tuple[str, ...]) -> list[str]:
    """Return a note about labels that are whole numbers but not 0 … classes − 1; else none."""
    if train.is_text or classes in (train.names, tuple(map(str, range(len(classes))))):
        return []
    return [f"the labels {some(classes)} are {len(classes)} classes, numbered in this order."]


def numbered(split: SplitLabels, train: SplitLabels, classes: tuple[str, ...]) -> np.ndarray:
    """Return the split's labels as int64 (n,), indices into `classes`.

    classes: of `classes_of(train)`.

    Raises UserError: when a label is none of the training images', or of another type.
    """
    if split.is_text != train.is_text:
        kinds = [f"{'text (string)' if s.is_text else 'whole numbers'}" for s in (split, train)]
        raise UserError(
            f"{split.files[0]}: its labels are {kinds[0]}, those of the training images "
            f"{kinds[1]}. Give both labels of one type."
        )
    known = np.arange(len(classes)) if classes == train.names else np.unique(train.values)
    places = np.searchsorted(known, split.values)
    outside = np.flatnonzero(known[np.minimum(places, len(known) - 1)] != split.values)
    if len(outside):
        row = int(outside[0])
        contiguous = not train.is_text and (known == np.arange(len(known))).all()
        allowed = f"0 … {len(known) - 1}" if contiguous else some([str(label) for label in known])
        raise UserError(
            f"{split.where(row)} has label {split.values[row]}, but the {len(classes)} classes of "
            f"the training images are labelled {allowed}."
        )
    return places.astype(np.int64)

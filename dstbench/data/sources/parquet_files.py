"""Which parquet files of a folder are which split of a dataset.

As they are named on dataset hubs, and lie in cloned repositories and converted datasets:

    X/train-00000-of-00002.parquet        X/<configuration>/train-00000-of-00002-<hash>.parquet
    X/train/0000.parquet                  X/<configuration>/train/0000.parquet
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dstbench.data.sources.split_names import split_of_file, split_of_folder
from dstbench.data.sources.walk import files_in, holds_images, is_hidden, some, subfolders
from dstbench.errors import UserError

Splits = dict[str | None, list[Path]]  # 'train', 'test', 'val', None for no split → its files


@dataclass(frozen=True)
class SplitFiles:
    """The files of a dataset.

    train: of the training images.
    tests: 'test', 'val' → files, of those that are there.
    notes: about files that are not used.
    """

    train: list[Path]
    tests: dict[str, list[Path]]
    notes: tuple[str, ...]


def recognises(folder: Path) -> bool:
    """Return whether the folder looks like a dataset in parquet files.

    Files of no split count only where no folder beside them holds images.
    """
    configurations = _configurations(folder) if folder.is_dir() else {}
    if any("train" in splits for splits in configurations.values()):
        return True
    return bool(configurations) and not any(map(holds_images, subfolders(folder)))


def split_files(folder: Path) -> SplitFiles:
    """Return the files of a folder, by split. A folder without splits has training images only.

    Raises UserError: when shards are missing, there are no training images, or several
        configurations have some.
    """
    configurations = _configurations(folder)
    chosen = _chosen(folder, configurations)
    splits = configurations[chosen]
    if "train" in splits:
        known: dict[str, list[Path]] = {split: files for split, files in splits.items() if split}
    elif list(splits) == [None]:
        known = {"train": splits[None]}
    else:
        found = [str(path.relative_to(folder)) for files in splits.values() for path in files]
        raise UserError(
            f"{folder}: has {some(found)} but no training images, train*.parquet or "
            "train/*.parquet. Add them."
        )
    for files in known.values():
        _check_shards(files)
    used = {path for files in known.values() for path in files}
    others = [p for other in configurations.values() for files in other.values() for p in files]
    unused = [str(path.relative_to(folder)) for path in others if path not in used]
    unused += [f"the images in {path.name}/" for path in subfolders(folder) if holds_images(path)]
    notes = (f"not used: {some(unused)}.",) if unused else ()
    return SplitFiles(known.pop("train"), known, notes)


def split_name(folder: Path, files: list[Path]) -> str:
    """Return what messages call the split of these files: its first file, and that there are more.

    folder: of the dataset.
    """
    more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
    return f"{files[0].relative_to(folder)}{more}"


def _configurations(folder: Path) -> dict[str, Splits]:
    """Return folder below `folder` ('.' for itself) → its splits."""
    found: dict[str, Splits] = {}
    for path in _parquet_files(folder):
        parent, split = path.parent, split_of_file(path)
        if parent != folder and (split_by_folder := split_of_folder(parent.name)):
            parent, split = parent.parent, split_by_folder
        files = found.setdefault(str(parent.relative_to(folder)), {}).setdefault(split, [])
        files.append(path)
    return found


def _parquet_files(folder: Path) -> Iterator[Path]:
    """Yield visible parquet files in the folder, its subfolders, and the splits' folders there."""
    yield from _parquet_in(folder)
    for below in subfolders(folder):
        yield from _parquet_in(below)
        with os.scandir(below) as entries:
            inner = sorted(e.name for e in entries if split_of_folder(e.name) and e.is_dir())
        for name in inner:
            if not is_hidden(name):
                yield from _parquet_in(below / name)


def _parquet_in(folder: Path) -> list[Path]:
    return [path for path in files_in(folder) if path.suffix.lower() == ".parquet"]


def _chosen(folder: Path, configurations: dict[str, Splits]) -> str:
    """Return the configuration that has the training images: the folder itself comes first."""
    with_training = [name for name, splits in configurations.items() if "train" in splits]
    candidates = with_training or list(configurations)
    if "." in candidates or len(candidates) == 1:
        return "." if "." in candidates else candidates[0]
    raise UserError(
        f"{folder}: has {len(candidates)} configurations: {some(candidates)}. Give the folder of "
        f"one as the dataset, such as --dataset {folder / candidates[0]}."
    )


def _check_shards(paths: list[Path]) -> None:
    """Raise UserError when 'i-of-n' names have gaps, or one shard is there twice."""
    shards: dict[tuple[str, str], dict[int, Path]] = {}
    for path in paths:
        if match := re.match(r"(.*-)?(\d+)-of-(\d+)", path.name):
            before, number, count = match.groups(default="")
            # what follows the count may be a fingerprint of the shard's own
            others = shards.setdefault((before, count), {})
            if int(number) in others:
                raise UserError(
                    f"{path} and {others[int(number)].name} are the same shard. Remove one of them."
                )
            others[int(number)] = path
    for (before, count), found in shards.items():
        path, digits = next(iter(found.values())), len(count)
        after = path.name[len(f"{before}{'0' * digits}-of-{count}") :]
        for i in range(int(count)):
            if i not in found:
                missing = path.with_name(f"{before}{i:0{digits}}-of-{count}{after}")
                raise UserError(f"{missing} is missing: {path.name} is one of {count}.")
    if len(shards) > 1:
        first, second = (next(iter(found.values())) for found in list(shards.values())[:2])
        raise UserError(
            f"{first} and {second.name} are of two sets of shards. Remove one of the sets."
        )

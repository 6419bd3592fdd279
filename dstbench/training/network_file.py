"""The file of a finished network: its tensors, and what is needed to rebuild and to use it."""

import hashlib
import io
import pickle
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from dstbench.core.packing import Packed
from dstbench.errors import UserError
from dstbench.recording.file_names import BEST_NETWORK


@dataclass(frozen=True)
class NetworkFile:
    """A finished network as stored in `network.pt` or `best.pt`.

    network: its tensors, see `core.packing`.
    config: the run's resolved gin text.
    classes: names, in the order of the logits.
    image_shape: (channels, height, width) of an input.
    mean, std: of each channel, for pixels in [0, 1].
    """

    network: Packed
    config: str
    classes: list[str]
    image_shape: list[int]
    mean: list[float]
    std: list[float]

    def to_bytes(self) -> bytes:
        """Return the file's content, to be loaded with torch.load(weights_only=True)."""
        buffer = io.BytesIO()
        torch.save({field.name: getattr(self, field.name) for field in fields(self)}, buffer)
        return buffer.getvalue()


class Unreadable(Exception):
    """A file that torch cannot load; the message says why."""


def load(path: Path) -> Any:
    """Return what torch saved in a file: tensors, numbers, texts, lists and dicts only.

    Raises FileNotFoundError, and Unreadable for a file that is damaged or of another kind.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch itself compares no checksums
                raise zipfile.BadZipFile(f"checksum of {damaged}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise Unreadable(str(error).splitlines()[0]) from None


def read(path: Path, config_sha256: str) -> NetworkFile:
    """Return the network in a file.

    config_sha256: of the configuration in the run's record.

    Raises UserError for a file that is missing, damaged, of another kind or of another run.
    """
    try:
        stored = load(path)
    except FileNotFoundError:
        why = (
            "The run has no best epoch, its folder was made from a record that carries the final "
            "network alone, or the file was removed"
            if path.name == BEST_NETWORK
            else "The network of this run was removed"
        )
        raise UserError(
            f"{path}: no such file. {why}; to train it again: `dstbench run --fresh`."
        ) from None
    except Unreadable as error:
        raise UserError(
            f"{path}: cannot be read as a network ({error}). Train it again "
            "with `dstbench run --fresh`, or fetch it by its MLflow id."
        ) from None
    names = [field.name for field in fields(NetworkFile)]
    if not isinstance(stored, dict) or not stored.keys() >= set(names):
        raise UserError(f"{path}: is no network of this suite. Give the folder of a finished run.")
    if hashlib.sha256(stored["config"].encode()).hexdigest() != config_sha256:
        raise UserError(f"{path}: is the network of another run than the record beside it.")
    return NetworkFile(**{name: stored[name] for name in names})

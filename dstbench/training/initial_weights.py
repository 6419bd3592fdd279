"""The initial weights of a run, as a hash: they decide its result, and no gin file names them all.

A model may load a checkpoint, and its code may change; the configuration is then the same, and the
network another one.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dstbench.errors import UserError
from dstbench.recording import provenance
from dstbench.recording.types import Record


def sha256_of(model: nn.Module) -> str:
    """Return the hash, in hex, of every parameter and persistent buffer, with names and shapes.

    model: after surgery, before its first masks. Memory layout and device do not matter.
    """
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        hash_tensor_(digest, name, tensor)
    return digest.hexdigest()


def hash_tensor_(digest: Any, name: str, tensor: Tensor) -> None:
    """Add a tensor's name, type, shape and values, in row order, to a hash of hashlib."""
    digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
    data = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(data.view(torch.uint8).numpy().data)


def refuse_changed(record: Record, sha256: str, folder: Path) -> str | None:
    """Compare the initial weights with those that a run in progress, or a finished one, began with.

    record: of the run so far.
    sha256: of the initial weights now.
    folder: of the run, for the message.

    Returns a message where another processor or version explains a difference: the same generator
    then gives other last bits.

    Raises UserError when the weights differ and nothing explains it.
    """
    before = record["provenance"].get("initial_weights_sha256", sha256)
    if before == sha256:
        return None
    last = record["provenance"]
    if last["versions"] != provenance.versions() or last["cpu"] != provenance.cpu():
        return (
            f"{folder}: the initial weights are not those that this run began with, on another "
            "processor or with other versions."
        )
    raise UserError(
        f"{folder} holds a run that began with other initial weights ({before[:12]}…, now "
        f"{sha256[:12]}…). Its model, or a file that the model loads, has changed, or its weights "
        "do not follow from the seed. Restore it, give the run another Method.name or Run.recipe, "
        "or start over with --fresh."
    )

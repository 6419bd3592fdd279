"""The tensors and masks of a network in a file, of dstbench or of torch.

Files are `network.pt`, `best.pt` and `epoch-N.pt` of a run folder, and state dicts saved by
torch.save, in which the zeros of a tensor are its dead weights; those of torch.nn.utils.prune, with
NAME_orig and NAME_mask, too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dstbench.core.packing import unpacked
from dstbench.errors import UserError
from dstbench.training.initial_weights import hash_tensor_
from dstbench.training.network_file import Unreadable, load


@dataclass(frozen=True)
class Tensors:
    """The tensors of a stored network, in row order.

    values: name → tensor; dead weights are zero.
    masks: name → bool, of the tensors whose dead weights are known by more than their zeros.
    """

    values: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]

    def live(self, name: str) -> Tensor:
        """Return the live weights of a tensor as flat indices in row order, int64."""
        return self.masks.get(name, self.values[name]).reshape(-1).nonzero().view(-1)

    def sha256(self) -> str:
        """Return the hash, in hex, of names, shapes, values and masks."""
        digest = hashlib.sha256()
        for tensors in (self.values, self.masks):
            for name in sorted(tensors):
                hash_tensor_(digest, name, tensors[name])
        return digest.hexdigest()


def read(path: Path) -> Tensors:
    """Return the network in a file.

    Raises UserError: for a file that is missing, damaged, or no network.
    """
    if path.suffix == ".json" and path.is_file():
        raise UserError(
            f"{path}: is a record. Make its run's folder with dstbench.load({str(path)!r}) in "
            "Python, or `dstbench deploy`, and give that folder."
        )
    try:
        stored = load(path)
        if isinstance(stored, dict) and isinstance(stored.get("network"), dict):
            return Tensors(*unpacked(stored["network"]))
        return _without_prune(_state_dict(stored))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Give the folder of a finished run.") from None
    except (Unreadable, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{path}: cannot be read as a network ({error}). Give the folder of a finished run, "
            "or a state dict (name → tensor) saved by torch.save."
        ) from None


def _state_dict(stored: object) -> dict[str, Tensor]:
    """Return the state dict that torch.save wrote, alone or under a usual key or prefix.

    Raises ValueError: where there is none, or a tensor is of a kind that no network here has.
    """
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(stored, dict) and isinstance(stored.get(key), dict):
            stored = stored[key]
    if not isinstance(stored, dict) or not stored:
        raise ValueError("it holds no tensors by name")
    for name, tensor in stored.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"{name!r} is no tensor with a name")
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex():
            raise ValueError(f"{name} is sparse, complex, or without values")
    for prefix in ("_orig_mod.", "module."):  # of torch.compile, and of DistributedDataParallel
        if all(name.startswith(prefix) for name in stored):
            stored = {name.removeprefix(prefix): tensor for name, tensor in stored.items()}
    return stored


def _without_prune(stored: Mapping[str, Tensor]) -> Tensors:
    """Return the network of a state dict; torch.nn.utils.prune splits a tensor into two."""
    tensors, masks = {}, {}
    for name, tensor in stored.items():
        stem, _, kind = name.rpartition("_")
        if kind == "orig" and f"{stem}_mask" in stored:
            masks[stem] = stored[f"{stem}_mask"].bool()
            tensors[stem] = tensor * masks[stem]
        elif not (kind == "mask" and f"{stem}_orig" in stored):
            tensors[name] = tensor
    return Tensors(tensors, masks)

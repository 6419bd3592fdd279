"""Live paths, found anew only when something that decides them has changed."""

import hashlib

from torch import nn

from dstbench.core.masks import Masks
from dstbench.metrics.live_paths import LivePaths, find_live_paths
from dstbench.models.structure import Structure


class KnownPaths:
    """Finds the live paths of a network, or returns the last result where it still holds.

    Paths depend on the masks, on the structure of the network, and on which other parameters and
    buffers, such as the scales of shared weights, are zero. For networks whose forward pass is
    decided by their structure alone.
    """

    def __init__(self) -> None:
        self._key: tuple[int, bytes] | None = None
        self._structure: Structure | None = None
        self._found: LivePaths | None = None

    def find(self, model: nn.Module, masks: Masks, input_shape: tuple[int, ...]) -> LivePaths:
        """Return what `find_live_paths` does."""
        key = (masks.version, _zeros(model, masks))
        same = self._structure is not None and self._structure.is_current()
        if self._found is None or not same or key != self._key:
            self._key, self._structure = key, Structure(model)
            self._found = find_live_paths(model, masks, input_shape)
        return self._found


def _zeros(model: nn.Module, masks: Masks) -> bytes:
    """Return a digest of which elements are zero in every tensor that is not prunable."""
    prunable = {id(weight) for weight in masks.parameters.values()}
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (*model.parameters(), *model.buffers()):
        if id(tensor) not in prunable:
            digest.update((tensor.detach() != 0).cpu().contiguous().numpy().tobytes())
    return digest.digest()

"""StartingNetwork: a run begins with the weights, the masks, or both, of a network in a file.

Which files are read: see `stored_tensors`.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.masks import storage_index
from dstbench.core.packing import kept_tensors
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.recording.file_names import FINAL_NETWORK
from dstbench.training.stored_tensors import Tensors, read
from dstbench.utils.listed import listed

Take = Literal["both", "weights", "masks"]
_NAMED = 3  # tensors in a message


@register("run")
class StartingNetwork:
    """The network that a run begins with; its names and shapes must be those of the run's network.

    Weights take the place of the initial ones before the method chooses its first masks, so that
    methods which prune a trained network see it. Masks take the place of the first masks. Weights
    that are live, but dead in the file, begin at zero. Optimizer and schedules begin anew.

    sha256: of the network's tensors, as `dstbench run --from` writes it; part of the run's
        identity, so that another network is another run.
    take: 'both', 'weights' or 'masks'.
    file: where the network is; no part of the identity.
    """

    not_identity: ClassVar[tuple[str, ...]] = ("file",)

    def __init__(self, sha256: str, take: Take = "both", file: str = ""):
        self.sha256, self.take, self.file = sha256, take, file

    def __str__(self) -> str:
        what = "weights and masks" if self.take == "both" else self.take
        return f"the {what} of {self.file} ({self.sha256[:12]}…)"

    @cached_property
    def _network(self) -> Tensors:
        if not self.file:
            raise UserError(
                "The run begins with a network of another run, and StartingNetwork.file does not "
                "say where it is. Give it with --from.",
                "StartingNetwork.file",
            )
        network = read(Path(self.file))
        if (found := network.sha256()) != self.sha256:
            raise UserError(
                f"{self.file}: is another network ({found[:12]}…) than the one that the run begins "
                f"with ({self.sha256[:12]}…). Give that one, or start another run with --from.",
                "StartingNetwork.file",
            )
        return network

    @torch.no_grad()
    def load_weights_(self, state: State) -> None:
        """Replace the initial weights and buffers, before the first masks, if they are taken.

        Raises UserError: for a file that cannot be read, or a network that does not fit.
        """
        if self.take == "masks":
            return
        for name, tensor in self._fitting(state).items():
            tensor.copy_(self._network.values[name])

    @torch.no_grad()
    def set_masks_(self, state: State, weights: Mapping[str, Tensor]) -> None:
        """Replace the first masks, if they are taken.

        weights: prunable tensor → its values before the method's first masks zeroed some.

        Raises UserError: where the network has another number of live weights than the first masks
            of the method, or the method remembers values that belong to its own first masks.
        """
        if self.take == "weights":
            return
        wanted, given = state.masks.total(), 0
        self._fitting(state)
        for name, weight in state.masks.parameters.items():
            live = self._network.live(name)
            if name in state.masks or len(live) < weight.numel():
                self._refuse_remembered(state)
                state.set_live_(name, storage_index(weight, live))
                weight.copy_(weights[name].masked_fill(~state.masks[name], 0.0))
            given += len(live)
        if given != wanted:
            numel = state.dense_numel
            raise UserError(
                f"{self.file}: its network has {given:,} live weights (sparsity "
                f"{1 - given / numel:.10g}), and the method begins with {wanted:,}. Choose a "
                "method and a sparsity that begin with as many, or take its weights alone "
                "(--take weights).",
                "StartingNetwork.take",
            )

    def _refuse_remembered(self, state: State) -> None:
        remembered = {n.partition("/")[0] for n in state.memory} - {"ever_live"}
        if remembered:
            raise UserError(
                f"The method remembers values that belong to its own first masks "
                f"({', '.join(sorted(remembered))}), so the masks of {self.file} cannot take their "
                "place. Take its weights alone (--take weights).",
                "StartingNetwork.take",
            )

    def notes(self, state: State) -> list[str]:
        """Return messages about what the file has and the run's network lacks."""
        if self.take == "masks":
            return []
        unused = [name for name in self._network.values if name not in kept_tensors(state.model)]
        return [f"{self.file}: {listed(unused, _NAMED)} are not in this network."] if unused else []

    def _fitting(self, state: State) -> dict[str, Tensor]:
        """Return name → tensor of the run's network, each of which the file has as well."""
        own, given = kept_tensors(state.model), self._network.values
        if self.take == "masks":
            own = {name: tensor for name, tensor in own.items() if name in state.masks.parameters}
        lacking = [name for name in own if name not in given]
        other = [n for n, tensor in own.items() if n in given and given[n].shape != tensor.shape]
        if lacking:
            raise UserError(
                f"{self.file}: has no {listed(lacking, _NAMED)}, which the run's network begins "
                "with. Begin with the network of a run of the same model and the same parts; what "
                "a part adds for training alone is in epoch-N.pt (Run.kept_epochs), not in "
                "network.pt.",
                "StartingNetwork.file",
            )
        if other:
            name = other[0]
            raise UserError(
                f"{self.file}: {listed(other, _NAMED)} have other shapes than in the run's "
                f"network: {list(given[name].shape)}, not {list(own[name].shape)}. Choose "
                "the model, the width and the dataset that the network was made for.",
                "StartingNetwork.file",
            )
        if infinite := [name for name in own if not given[name].isfinite().all()]:
            raise UserError(
                f"{self.file}: has NaN or infinity in {listed(infinite, _NAMED)}. Begin with a "
                "network that has not diverged.",
                "StartingNetwork.file",
            )
        return own


def starting_bindings(path: str, take: Take | None) -> tuple[str, ...]:
    """Return the gin bindings of a run that begins with a network.

    path: a run folder, whose final network is meant, or a file.
    take: what is taken; None for what the configuration says, else both.

    Raises UserError: for a file that cannot be read as a network.
    """
    file = Path(path) / FINAL_NETWORK if Path(path).is_dir() else Path(path)
    return (
        "Run.start=@StartingNetwork()",
        f"StartingNetwork.file={str(file.resolve())!r}",
        f"StartingNetwork.sha256={read(file).sha256()!r}",
        *(() if take is None else (f"StartingNetwork.take={take!r}",)),
    )

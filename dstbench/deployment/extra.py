"""Further files of a deployment, which are written when they are asked for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.deployment.runtime.program import Program

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork


@dataclass(frozen=True)
class ExtraFiles:
    """What an extra writes.

    contents: name → content. Every name is in `written_files.CONTENTS`.
    notes: files that were left out, and why.
    card: rows of the model card, name → value.
    report: lines for the command line.
    """

    contents: Mapping[str, bytes]
    notes: tuple[str, ...] = ()
    card: Mapping[str, str] = field(default_factory=dict)
    report: tuple[str, ...] = ()


@dataclass(frozen=True)
class Extra(ABC):
    """Makes further files of a compiled network.

    data_root, cache: folders of datasets and of decoded data, for images; None for the defaults.
    """

    data_root: Path | None
    cache: Path | None

    @abstractmethod
    def files(self, program: Program, network: "TrainedNetwork") -> ExtraFiles:
        """Return the files of a network.

        program: the network, compiled and verified.
        network: the trained network that it was compiled from.

        Raises UserError: when they cannot be made. Nothing of the deployment is written then.
        """

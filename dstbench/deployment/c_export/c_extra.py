"""The files that `dstbench deploy --c` adds to a deployment."""

from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.deployment.c_export.c_source import c_source
from dstbench.deployment.extra import ExtraFiles
from dstbench.deployment.runtime.program import Program
from dstbench.utils.printable import utf8

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork


class CExtra:
    """Writes a network as C99.

    data_root, cache: folders of datasets and of decoded data; None for the defaults.
    """

    def __init__(self, data_root: str | Path | None = None, cache: str | Path | None = None):
        self.data_root = None if data_root is None else Path(data_root)
        self.cache = None if cache is None else Path(cache)

    def files(self, program: Program, network: "TrainedNetwork") -> ExtraFiles:
        source = c_source(program)
        return ExtraFiles({"network.h": utf8(source.header), "network.c": utf8(source.source)})

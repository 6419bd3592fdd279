"""`dstbench.deploy`: a finished network as small files that need no torch."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dstbench.api import find_run
from dstbench.api.given_paths import optional_path, path_of, paths
from dstbench.api.result import Result
from dstbench.config.gin_state import isolated
from dstbench.errors import UserError
from dstbench.training import trained_network

if TYPE_CHECKING:
    from dstbench.deployment.deploy_run import Deployed


def deploy(
    run: Result | str | Path,
    out: str | Path | None = None,
    *,
    best: bool = False,
    dense: bool = False,
    c: bool = False,
    web: bool = False,
    runs: str | Path = "runs",
    tracking: str | None = None,
    plugins: Sequence[str | Path] = (),
    data_root: str | Path | None = None,
    cache: str | Path | None = None,
) -> "Deployed":
    """Write a finished run's network: network.dst, weights.safetensors, ONNX, a model card.

    run: its result, its folder, its name below `runs`, its record, also a leaderboard's, or its
        MLflow run id.
    out: folder for the files; None for `deployed` in the run's folder.
    best: the network of the best validation epoch, instead of the last one.
    dense: as a dense ONNX network only, for networks that cannot be compiled.
    c: as plain C, too.
    web: as a web page that runs it, too.
    plugins: Python files that the run needs.
    data_root, cache: folders of datasets and of decoded data, for the images that int8 needs and
        those that the page offers, and for a leaderboard's record.

    The result has the folder, the sizes of the files, and what was left out;
    `dstbench.deployment.load(deployed.folder / "network.dst")` runs the network.

    Raises UserError when numba is missing, or the network cannot be written.
    """
    if dense and (c or web):
        raise UserError(
            "Plain C and web pages are written of a compiled network, not of a dense one: leave "
            "out dense (--dense), or c (--c) and web (--web)."
        )
    if importlib.util.find_spec("numba") is None:
        raise UserError("Deploying needs numba: pip install 'dstbench[deploy]'.")
    from dstbench.deployment.best_network import with_own_facts
    from dstbench.deployment.c_export.c_extra import CExtra
    from dstbench.deployment.deploy_run import deploy as compiled
    from dstbench.deployment.deploy_run import deploy_dense
    from dstbench.deployment.web.web_extra import WebExtra

    root, decoded = optional_path("data_root", data_root), optional_path("cache", cache)
    if isinstance(run, Result):
        folder = run.path
    else:
        folder = find_run.find(str(run), path_of("runs", runs), tracking, root, decoded)
    with isolated():
        network = trained_network.load(folder, plugins=paths(plugins), best=best)
    if best:
        network = with_own_facts(network)
    place = optional_path("out", out) or folder / "deployed"
    if dense:
        return deploy_dense(network, place, best)
    chosen = ((CExtra, c), (WebExtra, web))
    extras = [extra(root, decoded) for extra, wanted in chosen if wanted]
    return compiled(network, place, best, extras)

"""Deploys a finished run: compiles its network, verifies the result, writes all files."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dstbench.core.sparse_weights import write_weights
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.extra import Extra
from dstbench.deployment.onnx_export import onnx_bytes, onnx_logits
from dstbench.deployment.runtime.network import load_bytes
from dstbench.deployment.runtime.program import About, Program
from dstbench.deployment.runtime.program_file import write_bytes
from dstbench.deployment.verify import check_logits
from dstbench.deployment.written_files import Written, write_files
from dstbench.errors import UserError
from dstbench.graph.trace import trace
from dstbench.recording.budget import budget_problem
from dstbench.recording.run_summary import COLLAPSED

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork

_CHECKED_IMAGES = 64  # on which logits are compared
# Share of the dense network's MACs above which a dense library may be faster. A MAC of a compiled
# network takes about six times as long as one of onnxruntime in fp32, and twelve of OpenVINO in
# bf16 on AMX units (ResNet-50 at 99 %: 2.4 % of the MACs, 7 and 3 times faster).
_MANY_MACS = 0.05


@dataclass(frozen=True)
class Compilation:
    """How a network was compiled.

    seconds: that compiling took.
    operations: of the program.
    error: largest relative error of the logits against the masked network.
    """

    seconds: float
    operations: int
    error: float


@dataclass(frozen=True)
class Deployed:
    """What was written.

    folder: where it is.
    files: name → bytes.
    notes: files that were left out, and why.
    compilation: None where the network was written as dense ONNX only.
    report: what extras say about their files, in lines.
    """

    folder: Path
    files: Mapping[str, int]
    notes: tuple[str, ...]
    compilation: Compilation | None = None
    report: tuple[str, ...] = ()


def deploy(
    network: "TrainedNetwork", out: Path, best: bool, extras: Sequence[Extra] = ()
) -> Deployed:
    """Compile a finished network and write all files.

    Nothing is written before everything is checked.

    out: folder.
    best: whether the network is the epoch that validated best.
    extras: make the files that were asked for besides those of every deployment.

    Raises UserError: when the network cannot be compiled, is not at its budget, or a file's logits
        are wrong, or a compiled network is larger than a file may be.
    """
    _check_budget(network)
    about = _about(network, best)
    start = time.perf_counter()
    program = compile_network(network.model, network.image_shape, about)
    seconds = time.perf_counter() - start
    images, logits = _reference(network)
    collapsed = network.record["health"]["collapsed"]
    content = write_bytes(program)
    network_dst = load_bytes(content, "network.dst")  # what its users read, rounding and all
    error = check_logits("network.dst", network_dst(images), logits)
    onnx, notes = _onnx(network, images, logits)
    notes += (f"collapsed: {COLLAPSED}",) if collapsed else ()
    notes += _slow_note(program, network.record["cost"]["dense_macs"])
    contents = {
        "network.dst": content,
        "weights.safetensors": write_weights(network.model, network.masks),
        **onnx,
    }
    card: dict[str, str] = {}
    report: list[str] = []
    for extra in extras:
        more = extra.files(program, network)
        contents |= more.contents
        card |= more.card
        notes += more.notes
        report += more.report
    written = write_files(network.record, about, contents, out, card)
    compilation = Compilation(seconds, len(program.kind), error)
    notes += _removed_note(written)
    return Deployed(out, written.files, notes, compilation, tuple(report))


def deploy_dense(network: "TrainedNetwork", out: Path, best: bool) -> Deployed:
    """Write a finished network as dense ONNX, for networks that are dense, such as DCTpS.

    out: folder.
    best: whether the network is the epoch that validated best.

    Raises UserError: when the network cannot be traced, its logits are wrong, or the ONNX libraries
        are not installed.
    """
    images, logits = _reference(network)
    onnx, notes = _onnx(network, images, logits)
    if not onnx:
        raise UserError(notes[0])
    written = write_files(network.record, _about(network, best), onnx, out)
    return Deployed(out, written.files, notes + _removed_note(written))


def _removed_note(written: Written) -> tuple[str, ...]:
    if not written.removed:
        return ()
    names = ", ".join(written.removed)
    return (f"removed, of an earlier deployment in this folder: {names}",)


def _slow_note(program: Program, dense_macs: int) -> tuple[str, ...]:
    """Return a note where a dense library may be faster than the compiled network."""
    share = program.multiply_adds() / dense_macs
    if share < _MANY_MACS:
        return ()
    return (
        f"network.dst has {share:.0%} of the dense network's MACs: a dense library may be faster, "
        "with network.onnx. `dstbench measure RUN` compares them.",
    )


def _check_budget(network: "TrainedNetwork") -> None:
    asked, masks = network.record["sparsity"]["asked"], network.masks
    problem = budget_problem(asked, masks.total(), network.dense_numel, masks.numel())
    if problem and not network.run.method.over_budget:
        raise UserError(
            f"This network has {problem}. It is not at its budget and is not deployed: choose a "
            "run, or an epoch, that is."
        )


def _reference(network: "TrainedNetwork") -> tuple[np.ndarray, np.ndarray]:
    """Return (images, logits) of the masked network in fp32, on normally distributed images."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(_CHECKED_IMAGES, *network.image_shape, generator=rng)
    with torch.no_grad():
        return images.numpy(), network.model(images).numpy()


def _about(network: "TrainedNetwork", best: bool) -> About:
    record = network.record
    return {
        "method": record["method"],
        "model": record["model"],
        "dataset": record["dataset"],
        "seed": record["seed"],
        "sparsity": record["sparsity"]["measured"],
        "accuracy": record["accuracy"]["test_at_best_val" if best else "test_final"],
        "epoch": "best validation" if best else "final epoch",
        "config_sha256": record["config"]["sha256"],
        "commit": record["provenance"]["commit"],
        "image_shape": list(network.image_shape),
        "classes": list(network.classes),
        "mean": list(network.mean),
        "std": list(network.std),
    }


def _onnx(
    network: "TrainedNetwork", images: np.ndarray, logits: np.ndarray
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return ({name: content}, notes); without the libraries, no content and a note."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        return {}, (f"network.onnx needs {error.name}: pip install 'dstbench[onnx]'.",)
    assert onnx and onnxruntime
    content = onnx_bytes(trace(network.model, network.image_shape), network.image_shape)
    check_logits("network.onnx", onnx_logits(content, images), logits)
    return {"network.onnx": content}, ()

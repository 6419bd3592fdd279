"""All files of a deployed network, written from a finished one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dstbench.deploy.compiler.compile import compile_network
from dstbench.deploy.compiler.trace import trace
from dstbench.deploy.model_card import card
from dstbench.deploy.onnx_export import write_onnx
from dstbench.deploy.runtime.network import Network, load
from dstbench.deploy.runtime.program_file import write_bytes
from dstbench.deploy.sparse_weights import write_weights
from dstbench.deploy.verify import TOLERANCE, check_onnx, relative_error
from dstbench.errors import UserError
from dstbench.sparsity import live_total
from dstbench.utils.files import write_atomic

if TYPE_CHECKING:
    from dstbench.training.trained_network import TrainedNetwork

CHECKED = 64  # images that a deployed network is compared on


@dataclass(frozen=True)
class Deployed:
    """What was written. files: name → bytes. notes: what was left out, and why.

    seconds: of compiling. operations: of the program. error: largest relative error of the logits
    against the masked network. None where no program was written.
    """

    files: Mapping[str, int]
    notes: tuple[str, ...]
    seconds: float | None = None
    operations: int | None = None
    error: float | None = None


def deploy(network: "TrainedNetwork", out: Path, best: bool) -> Deployed:
    """Compile a finished network, compare it with the masked one, and write everything to `out`.

    best: whether it is the epoch that validated best. Nothing is written before all is checked.
    Raises UserError when it cannot be compiled, or is not what its record says.
    """
    check_budget(network)
    about = _about(network, best)
    began = time.perf_counter()
    program = compile_network(network.model, network.image_shape, about)
    seconds = time.perf_counter() - began
    images, logits = reference(network)
    error = relative_error(Network(program)(images), logits)
    if not error <= TOLERANCE:
        raise UserError(
            f"The compiled network differs from the masked one by {error:.1e}, more than "
            f"{TOLERANCE:.0e}. Nothing is written. Please report this run."
        )
    contents = {
        "network.dst": write_bytes(program),
        "weights.safetensors": write_weights(network.model, network.masks),
    }
    onnx, notes = _onnx(network, images, logits)
    contents |= onnx
    files = _write(network, about, contents, out)
    load(out / "network.dst")
    return Deployed(files, notes, seconds, len(program.kind), error)


def deploy_dense(network: "TrainedNetwork", out: Path, best: bool) -> Deployed:
    """Write the network as dense ONNX: what is left where there is nothing to leave out."""
    images, logits = reference(network)
    onnx, notes = _onnx(network, images, logits)
    if not onnx:
        raise UserError(notes[0])
    return Deployed(_write(network, _about(network, best), onnx, out), notes)


def check_budget(network: "TrainedNetwork") -> None:
    """Refuse a network that has more or fewer live weights than its sparsity allows."""
    asked = network.record["sparsity"]["asked"]
    budget, live = live_total(asked, network.dense_numel), network.masks.total()
    if live != budget:
        raise UserError(
            f"This network has {live:,} live weights; a sparsity of {asked} leaves {budget:,}. "
            "It is not at its budget and is not deployed: choose a run, or an epoch, that is."
        )


def reference(network: "TrainedNetwork") -> tuple[np.ndarray, np.ndarray]:
    """(images, logits) of the masked network in fp32, on noise as bright as its images."""
    images = torch.randn(CHECKED, *network.image_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return images.numpy(), network.model(images).numpy()


def _about(network: "TrainedNetwork", best: bool) -> dict[str, Any]:
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
    """({name: content}, notes): nothing, and a note, without the libraries."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        return {}, (f"network.onnx needs {error.name}: pip install 'dstbench[onnx]'.",)
    assert onnx and onnxruntime
    content = write_onnx(trace(network.model, network.image_shape), network.image_shape)
    check_onnx(content, images, logits)
    return {"network.onnx": content}, ()


_HOLDS = {
    "network.dst": "the compiled network, for `dstbench.deploy.load`",
    "weights.safetensors": "the live weights and all else that was trained (COO; see its metadata)",
    "network.onnx": "the dense network of the channels that matter: `images`, normalised float32 "
    "(n, C, H, W) → `logits`",
}


def _write(
    network: "TrainedNetwork", about: dict[str, Any], contents: dict[str, bytes], out: Path
) -> dict[str, int]:
    holds = {name: _HOLDS[name] for name in contents}
    contents = {**contents, "README.md": card(network.record, about, holds).encode()}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be made ({error.strerror}). Choose another --out."
        ) from None
    for name, content in contents.items():
        write_atomic(out / name, content)
    return {name: len(content) for name, content in contents.items()}

"""The finished network of a run, loaded: what `measure` and `deploy` start from.

A network is rebuilt from the gin text in its own file: the model, the method's surgery and finish;
then its tensors and masks are loaded. So it is the network whose accuracy the record reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dstbench.core.masks import Masks
from dstbench.core.packing import load_network_
from dstbench.core.random_generators import preserve_rng
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.models.onednn import onednn_restored
from dstbench.recording import record
from dstbench.recording.file_names import BEST_NETWORK, FINAL_NETWORK, RECORD
from dstbench.recording.types import Record
from dstbench.training import network_file
from dstbench.training.build import finalize, new_state
from dstbench.training.configure import run_from_text
from dstbench.training.settings import Run


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network as it is deployed, in fp32 on the CPU, in eval mode and channels_last.

    model: images (B, *image_shape), each channel normalised by mean and std → logits (B, classes).
    masks: which of its weights are live; empty for a dense network.
    record: of its run.
    image_shape: (channels, height, width).
    classes: names, in the order of the logits.
    mean, std: of each channel, for pixels in [0, 1].
    config: the run's gin text.
    dense_numel: prunable weights of the original network.
    run: what the gin text configures; its `build_model` gives its original network.
    """

    model: nn.Module
    masks: Masks
    record: Record
    image_shape: Shape
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: str
    dense_numel: int
    run: Run


def load(folder: Path, plugins: Sequence[Path] = (), best: bool = False) -> TrainedNetwork:
    """Return the finished network of a run folder.

    plugins: Python files that register what the run's configuration names.
    best: the network of the epoch with the best validation accuracy, instead of the last one.

    Raises UserError when the run is not finished, or the network's file is missing, damaged, or of
    another run.
    """
    content = record.read(folder / RECORD)
    if content["status"] != "finished":
        raise UserError(
            f"{folder}: this run is not finished ({content['status']}), so it has no "
            "network yet. Start it again, or choose another."
        )
    stored = network_file.read(
        folder / (BEST_NETWORK if best else FINAL_NETWORK), content["config"]["sha256"]
    )
    channels, height, width = stored.image_shape
    shape = (channels, height, width)
    try:
        run = run_from_text(stored.config, plugins)
        with onednn_restored():  # it is switched off for backward passes, which none follows
            state, _ = finalized(run, shape, len(stored.classes))
        load_network_(state.model, state.masks, stored.network)
    except UserError as error:
        used = ", ".join(content["provenance"].get("plugins") or {})
        hint = f" The run used {used}: add --plugin with that file." if used and not plugins else ""
        raise UserError(f"{folder}: its network cannot be built: {error.message}{hint}") from None
    except (LookupError, RuntimeError) as error:
        raise UserError(
            f"{folder}: its tensors do not fit the network of its configuration "
            f"({type(error).__name__}: {str(error).splitlines()[0]}). Use the version of dstbench "
            f"that made it: commit {content['provenance']['commit']}."
        ) from None
    return TrainedNetwork(
        model=state.model.eval(),
        masks=state.masks,
        record=content,
        image_shape=shape,
        classes=tuple(stored.classes),
        mean=tuple(stored.mean),
        std=tuple(stored.std),
        config=stored.config,
        dense_numel=state.dense_numel,
        run=run,
    )


def finalized(run: Run, image_shape: Shape, num_classes: int) -> tuple[State, int]:
    """Return a run's State as after its `finish`, with initial weights and no masks.

    Also returns the number of parameters that served training only.
    """
    with preserve_rng(torch.empty(0)):
        state = new_state(run, num_classes, image_shape, 1, torch.device("cpu"))
    return state, finalize(run.method, state)

"""Rebuilds a record's network from its configuration and its stored tensors.

The record may be a stranger's: methods of the suite only, no plugin, no pickle.
"""

from pathlib import Path

from dstbench.config.resolved_text import read_resolved
from dstbench.config.shipped_files import shipped
from dstbench.core.sparse_weights import load_weights_
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.recording.types import Record
from dstbench.training.configure import resolved_run
from dstbench.training.settings import Run
from dstbench.training.trained_network import finalized
from dstbench.utils.listed import listed

_METHODS = "dstbench.methods."


class NotRecomputable(Exception):
    """The record cannot be recomputed; the message states why. It is not wrong."""


def configured_run(record: Record) -> Run:
    """Return the run that a record's configuration describes.

    Raises NotRecomputable for a run with plugins, and UserError for a configuration that does not
    resolve to itself.
    """
    text = record["config"]["text"]
    known = {f"{_METHODS}{name}" for name in shipped("methods", ".py")}
    foreign = [name for name in read_resolved(text).imports if name not in known]
    plugins = [*(record["provenance"].get("plugins") or {}), *foreign]
    if plugins:
        raise NotRecomputable(f"it uses {', '.join(plugins)}, which is not of the suite")
    run, resolved = resolved_run(text)
    lost = set(text.splitlines()) - set(resolved.text.splitlines())
    if lost:  # later versions may add parameters with defaults, but change none
        raise UserError(f"its configuration resolves to something else: {sorted(lost)[0]} is gone")
    return run


def rebuilt(
    run: Run, shape: Shape, classes: int, content: bytes, source: Path
) -> tuple[State, int]:
    """Return the finished network with the stored tensors, and its training-only parameters.

    shape: (channels, height, width) of an image.
    classes: number of classes.
    content: bytes of the stored network.
    source: path of the record, for messages.

    Raises UserError when the tensors do not fit the network of the configuration, or are not
        finite.
    """
    state, training_only = finalized(run, shape, classes)
    load_weights_(content, str(source), state.model, state.masks)
    infinite = [n for n, t in state.model.state_dict().items() if not t.isfinite().all()]
    if infinite:
        raise UserError(f"its network has NaN or infinity in {listed(infinite, 3)}")
    state.model.eval()
    return state, training_only

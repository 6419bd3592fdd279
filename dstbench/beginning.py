"""A run's State before a session's first step: built, refused where it cannot be trained, loaded
from a checkpoint, the same for every process.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from dstbench.distributed import Ranks, refuse_differing_masks
from dstbench.errors import UserError
from dstbench.masks import Masks
from dstbench.part import State
from dstbench.place import Place
from dstbench.portions import Portions
from dstbench.run import Run
from dstbench.train import Autocast, autocast_for, clear_meters_
from dstbench.tryout import built, refuse_small_batch, refuse_wrong_logits


def new_state(
    run: Run,
    num_classes: int,
    image_shape: tuple[int, int, int],
    total_steps: int,
    device: torch.device,
) -> State:
    """A run's State as it is before its first masks: the network built, operated on, on `device`.

    On the device "meta" the network has shapes and no values; what a method adds to it may have.
    Raises UserError, on other devices, for a network that does not fit its images and classes.
    """
    by_shape = device.type == "meta"
    with device if by_shape else nullcontext():
        model = built(run, num_classes, image_shape)
    if not by_shape:
        autocast = autocast_for(run.precision, device)
        refuse_wrong_logits(model, num_classes, image_shape, device, autocast)
    state = State(model, image_shape, run.seed, total_steps)
    state.budget = run.method.budget
    run.method.surgery(state)
    if not by_shape:  # moving to "meta" would part tensors that layers share
        state.model = state.model.to(device)
    state.masks = Masks(state.model)  # surgery may have replaced what they refer to
    return state


def refuse_small_batches(
    state: State, portions: Portions, place: Place, autocast: Autocast
) -> None:
    """Raise UserError where an epoch's last batch is too small for network or processes."""
    size = place.ranks.size
    last = portions.size_at(portions.steps_per_epoch - 1)
    advice = (
        f"{portions.count} training images in batches of {portions.batch_size} leave {last} at the "
        f"end, for {size} process{'es' if size > 1 else ''}. Choose another Run.batch_size, or "
        "Run.train_images."
    )
    if last < size:
        raise UserError(f"An epoch ends with fewer images than processes: {advice}")
    smallest = last if place.sync_batch_norm else last // size
    refuse_small_batch(state.model, smallest, state.image_shape, place.device, autocast, advice)


def load_(state: State, saved: dict[str, Any], run: Run, folder: Path) -> None:
    """Continue from a checkpoint in `folder`. Raises UserError where it is of another network."""
    try:
        state.load_state_dict(saved, run.optimizer)
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder}: the checkpoint does not fit what {run.method.name} and "
            f"{run.model.__name__} are now ({type(error).__name__}: {error}). Their code has "
            "changed since it was written: put the old code back, or start over with --fresh."
        ) from error


def align_(state: State, ranks: Ranks, seed: int) -> None:
    """Make every process's State the first's, but for its own random numbers and meters."""
    if ranks.alone:
        return
    ranks.spread_([*state.model.parameters(), *state.model.buffers()])
    refuse_differing_masks(state, ranks)
    if not ranks.first:  # dropout differs; what parts draw from, state.rng, does not
        torch.manual_seed(hash((seed, state.step, ranks.rank)))
        if "train/loss" in state.memory:
            clear_meters_(state.memory)

"""A run's network: built and checked before training, finalized after it."""

from contextlib import nullcontext

import torch

from dstbench.core.masks import Masks, flat
from dstbench.core.part import Part
from dstbench.core.prunable import prunable
from dstbench.core.state import State
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.metrics.cost import cost, training_only_parameters
from dstbench.models.onednn import disable_onednn_if_unsafe
from dstbench.models.precision import autocast_for
from dstbench.training.preflight import refuse_wrong_logits
from dstbench.training.settings import Run


def new_state(
    run: Run,
    num_classes: int,
    image_shape: Shape,
    total_steps: int,
    device: torch.device,
) -> State:
    """Return a run's State before its first masks: the network built, after surgery, on `device`.

    image_shape: (channels, height, width).
    device: on "meta" the network has shapes and no values; what a method adds to it may have.

    Raises UserError, on other devices, for a network that does not fit its images and classes.
    """
    by_shape = device.type == "meta"
    with device if by_shape else nullcontext():
        model = run.build_model(num_classes, image_shape)
    prunable(model)  # refuses a computed weight by name, before it fails otherwise
    if not by_shape:
        autocast = autocast_for(run.precision, device)
        refuse_wrong_logits(model, num_classes, image_shape, device, autocast)
    state = State(model, image_shape, run.seed, total_steps)
    state.dense_macs = cost(model, state.masks, image_shape)["dense_macs"]
    state.budget = run.method.budget
    run.method.surgery(state)
    if device.type == "cpu":
        disable_onednn_if_unsafe(state.model)  # as surgery left it; backward passes are unsafe
    if not by_shape:  # moving to "meta" would part tensors that layers share
        state.model = state.model.to(device)
    state.masks = Masks(state.model)  # surgery may have replaced what they refer to
    return state


def beginning(
    run: Run, num_classes: int, image_shape: Shape, total_steps: int, device: torch.device
) -> State:
    """Return the same with the weights that the run begins with, which another run may have made.

    Raises UserError: as `new_state`; and where that run's network does not fit.
    """
    state = new_state(run, num_classes, image_shape, total_steps, device)
    if run.start is not None:
        run.start.load_weights_(state)
    return state


def choose_first_masks(run: Run, state: State) -> None:
    """Choose the first masks: the method's, or those of the network that the run begins with.

    Raises UserError: where that network has another number of live weights.
    """
    parameters = state.masks.parameters if run.start else {}
    weights = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    run.method.init_masks(state)
    if run.start:
        run.start.set_masks_(state, weights)
    for name, mask in state.masks.items():  # without the masks that were replaced here
        state.memory[f"ever_live/{name}"] = flat(mask).clone()


def finalize(method: Part, state: State) -> int:
    """Turn the trained network, in place, into the one that is deployed.

    Returns the number of parameters that served training only, which are gone afterwards.

    Raises UserError when they are not, or the network is another module than before.
    """
    training_only, model = training_only_parameters(state.model), state.model
    method.finish(state)
    if state.model is not model:
        raise UserError(
            "A part's `finish` replaced state.model, which is evaluated and counted elsewhere: "
            "change its modules in place. `surgery` may replace it."
        )
    if left := training_only_parameters(state.model):
        raise UserError(
            f"{left:,} parameters of modules with training_only = True are left in the deployed "
            "network, where no count includes them. Replace these modules in the `finish` of the "
            "part that added them, or do not declare training_only."
        )
    state.masks.parameters = Masks(state.model).parameters
    return training_only

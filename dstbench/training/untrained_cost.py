"""The cost of a run's finished network, from the choices that configure it; nothing is trained.

Only gin files are read. Layer budgets need shapes only, so the network is built without values; a
method that chooses its masks by the weights, such as SynFlow, gets real ones.
"""

from collections.abc import Callable

import torch

from dstbench.config.choices import Choices
from dstbench.data.datasets import KNOWN, Known
from dstbench.data.images import Shape
from dstbench.errors import UserError
from dstbench.metrics.cost import cost
from dstbench.recording.types import Cost, CostReport
from dstbench.sparsity import live_total
from dstbench.training.build import beginning, choose_first_masks, finalize
from dstbench.training.configure import assemble
from dstbench.training.settings import Run


def figures(
    choices: Choices,
    image: Shape | None = None,
    classes: int | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> CostReport:
    """Return what `dstbench cost --json` prints: the run, its sparsity, and what `cost` counts.

    image: (channels, height, width) of one image; None for that of the pipeline's crops, or of the
        known dataset.
    classes: number of classes; None for that of the known dataset.
    note: called with a message when the network has to be built with values, which can take long.

    Raises UserError for choices that are wrong, and when shape or classes are not known.
    """
    run, _ = assemble(choices, "fp32")
    if image is None and not run.pipeline.decoded:  # its images have any size, its crops have one
        image = run.pipeline.fitted(None).image_shape(None)
    known = image_and_classes(run.dataset, image, classes)
    counted = count(run, *known, note)
    return {
        "method": run.method.name,
        "model": run.model.__name__,
        "dataset": run.dataset,
        "recipe": run.recipe,
        "seed": run.seed,
        "image_shape": list(known.image),
        "classes": known.classes,
        "sparsity": {
            "asked": run.method.sparsity,
            "measured": 1 - counted["live_weights"] / counted["prunable_weights"],
        },
        **counted,
    }


def image_and_classes(dataset: str, image: Shape | None, classes: int | None) -> Known:
    """Return the shape of an image and the number of classes: as given, else of the known dataset.

    Raises UserError when one is neither given nor known, or for less than one class.
    """
    if classes is not None and classes < 1:
        raise UserError(f"--classes {classes}: must be at least 1.")
    known = KNOWN.get(dataset)
    image = image or (known and known.image)
    classes = classes or (known and known.classes)
    if image is None or classes is None:
        raise UserError(
            f"dataset {dataset!r}: no images are read here, and the shape and classes are known "
            f"of {', '.join(KNOWN)} only. Give --image C,H,W and --classes N."
        )
    return Known(image, classes)


def count(
    run: Run, shape: Shape, classes: int, note: Callable[[str], None] = lambda text: None
) -> Cost:
    """Return the cost of the run's finished network for one image, as metrics.cost gives it."""
    try:
        if run.start is None:
            return count_on(torch.device("meta"), run, shape, classes, note)
    except (RuntimeError, TypeError):  # what tensors without values raise when read
        note(
            f"{run.method.name} cannot be counted from shapes alone: building the network and "
            "choosing its masks as a run would."
        )
    return count_on(torch.device("cpu"), run, shape, classes, note)


def count_on(
    device: torch.device,
    run: Run,
    shape: Shape,
    classes: int,
    note: Callable[[str], None] = lambda text: None,
) -> Cost:
    """Return the same, with the network on `device`; "meta" has shapes and no values."""
    state = beginning(run, classes, shape, 1, device)
    for text in run.method.notes(state):
        note(text)
    choose_first_masks(run, state)
    live, final = state.masks.total(), live_total(run.method.sparsity, state.dense_numel)
    if run.method.dense_to_sparse and live > final:
        raise UserError(
            f"{run.method.name} begins with {live:,} live weights, and training decides which "
            f"{final:,} of them stay. The record of a run has the cost of its network."
        )
    training_only = finalize(run.method, state)
    counted = cost(state.model, state.masks, shape, state.dense_numel, state.dense_macs)
    return counted | {"training_only_parameters": training_only}

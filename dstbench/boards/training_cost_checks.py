"""Checks the training FLOPs of a finished record, as far as they follow from it.

docs/counting.md has the count. With the MACs S of live weights, D of dense ones and O of dense
offsets, an image of a step costs at least 3·S + 2·O MACs, as no layer has fewer live weights during
training than at its end, unless a part moves them between layers; and at most 3·D + 2·O, unless a
part adds costs of its own. Recomputing the network gives closer limits
(dstbench/verify/training_cost.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dstbench.boards.config_checks import has_own_parts
from dstbench.boards.numbers import is_count
from dstbench.boards.run_size import run_size
from dstbench.config.resolved_text import read_resolved
from dstbench.config.suite_methods import makes_class_with


def training_cost_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each number of training FLOPs that a finished run cannot have.

    record: whose other costs, names and configuration are without problems.
    """
    cost = record["cost"]
    trained, dense = (cost.get(f"{kind}training_flops") for kind in ("", "dense_"))
    if trained is None and dense is None:  # older records have neither
        return
    if not all(is_count(cost.get(name)) for name in ("macs", "dense_macs")):
        return  # the layers do not add up to them
    for key, value in (("training_flops", trained), ("dense_training_flops", dense)):
        if not is_count(value) or not value:
            yield f"cost.{key} is {value!r}, not a count"
            return
    size, per_image = run_size(record), 6 * max(1, cost["dense_macs"])
    if size is None:
        if dense % per_image:
            yield (
                f"cost.dense_training_flops is {dense}, not 6 × cost.dense_macs for a whole number "
                "of images"
            )
            return
        images = dense // per_image
    else:
        images = size.epochs * size.images
        if dense != per_image * images:
            yield (
                f"cost.dense_training_flops is {dense}; 6 × cost.dense_macs for {size.epochs} "
                f"epochs of {size.images:,} images is {per_image * images}"
            )
    yield from _limit_problems(record, trained, images)


def _limit_problems(record: Mapping[str, Any], trained: int, images: int) -> Iterator[str]:
    """Yield a message if the training FLOPs are outside the limits that a network of the suite has.

    images: of all steps.
    """
    resolved = read_resolved(record["config"]["text"])
    if has_own_parts(resolved, record):
        return  # a plugin may train fewer weights than it leaves, and add costs
    cost = record["cost"]
    offset = sum(layer.get("offset_macs", 0) for layer in cost["layers"])
    dense = sum(layer["dense_macs"] for layer in cost["layers"])
    lowest = 2 * images * (3 * (cost["macs"] - offset) + 2 * offset)
    highest = 2 * images * (3 * dense + 2 * offset)
    if trained < lowest and not makes_class_with("redistributes", resolved.bindings):
        yield (
            f"cost.training_flops is {trained}; {images:,} images with the live weights of the "
            f"finished network take at least {lowest}"
        )
    elif trained > highest and not makes_class_with("extra_training_macs", resolved.bindings):
        yield (
            f"cost.training_flops is {trained}; {images:,} images with all weights take at most "
            f"{highest}"
        )

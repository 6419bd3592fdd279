"""Reduces a run's curves to what figures show: a few kilobytes instead of megabytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from dstbench.errors import UserError
from dstbench.figures.gradient_flow import GRADIENT_FLOW, gradient_flow
from dstbench.recording.json_types import type_problem
from dstbench.recording.types import EpochLine
from dstbench.utils.files import content_of
from dstbench.utils.json_text import parse_json

SCALARS = ("epoch", "sparsity", "grad_norm_live", "live_path_share", "positive_preactivations",
           "live_channels", "val_accuracy")  # fmt: skip
FINAL = "layers_positive"  # kept of the last epoch only
_DIGITS = 6  # significant digits, more than a figure shows


class ReducedCurves(TypedDict, total=False):
    """Content of a curve file: one value per epoch of each metric, units as in `EpochLine`."""

    epoch: list[int]
    sparsity: list[float | None]
    grad_norm_live: list[float | None]
    live_path_share: list[float | None]
    positive_preactivations: list[float | None]
    live_channels: list[float | None]
    val_accuracy: list[float | None]
    gradient_flow: list[float | None]
    layers_positive: dict[str, float]  # of the last epoch; values may be null


def reduce_curves(epochs: Sequence[EpochLine]) -> ReducedCurves:
    """Return metric → one value per epoch; of `layers_positive`, the last epoch's values.

    Gradient flow is computed here, because the norms of layers are not kept.
    """
    lines: Sequence[Mapping[str, Any]] = epochs
    reduced: dict[str, Any] = {
        name: [_rounded(line.get(name)) for line in lines] for name in SCALARS
    }
    reduced[GRADIENT_FLOW] = [_rounded(gradient_flow(line)) for line in lines]
    last = (lines[-1].get(FINAL) or {}) if lines else {}
    reduced[FINAL] = {name: _rounded(value) for name, value in last.items()}
    return cast(ReducedCurves, reduced)


def read_reduced(path: Path) -> ReducedCurves | None:
    """Return the content of a curve file, None where there is none.

    Raises UserError when it cannot be read, or is not one.
    """
    content = content_of(path)
    if content is None:
        return None
    try:
        curves = parse_json(content)
    except ValueError as error:
        raise UserError(f"{path}: is no curve file (it is not JSON: {error}).") from None
    if problem := type_problem(curves, ReducedCurves, ""):
        raise UserError(f"{path}: is no curve file ({problem.strip()}).")
    return cast(ReducedCurves, curves)


def encode(reduced: Mapping[str, Any]) -> bytes:
    """Return the content of a curve file: one line for each metric."""
    lines = ",\n".join(f"{json.dumps(k)}:{_compact(v)}" for k, v in reduced.items())
    return f"{{\n{lines}\n}}\n".encode()


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value

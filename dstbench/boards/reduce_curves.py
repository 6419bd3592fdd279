"""Reduces a run's curves to what figures show: a few kilobytes instead of megabytes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dstbench.errors import UserError
from dstbench.figures.gradient_flow import GRADIENT_FLOW, gradient_flow
from dstbench.utils.json_text import parse_json

SCALARS = ("epoch", "sparsity", "grad_norm_live", "live_path_share", "positive_preactivations",
           "live_channels", "val_accuracy")  # fmt: skip
FINAL = "layers_positive"  # kept of the last epoch only
_DIGITS = 6  # significant digits, more than a figure shows


def reduce_curves(lines: Iterable[str], source: str) -> dict[str, Any]:
    """Return metric → one value per epoch; of `layers_positive`, the last epoch's values.

    Gradient flow is computed here, because the norms of layers are not kept.

    lines: of a curves.jsonl.
    source: its name in an error.

    Raises UserError when the lines are not JSON objects.
    """
    try:
        epochs: list[Mapping[str, Any]] = [parse_json(line) for line in lines]
        reduced: dict[str, Any] = {
            name: [_rounded(epoch.get(name)) for epoch in epochs] for name in SCALARS
        }
        reduced[GRADIENT_FLOW] = [_rounded(gradient_flow(epoch)) for epoch in epochs]
        last = epochs[-1].get(FINAL, {}) if epochs else {}
        reduced[FINAL] = {name: _rounded(value) for name, value in last.items()}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{source}: holds no curves: it is not JSON lines ({error}).") from None
    return reduced


def encode(reduced: Mapping[str, Any]) -> bytes:
    """Return the content of a curve file: one line for each metric."""
    lines = ",\n".join(f"{json.dumps(k)}:{_compact(v)}" for k, v in reduced.items())
    return f"{{\n{lines}\n}}\n".encode()


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _rounded(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value

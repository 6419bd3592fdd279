"""Measures every form of a network at every batch size, as `dstbench measure` prints it."""

import copy
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dstbench.errors import UserError
from dstbench.measure.forms import Form, dense_forms, deployed_form, differences, trained_forms
from dstbench.measure.subject import Subject
from dstbench.measure.timing import WARM_UP, Timing, in_turns
from dstbench.records.provenance import collect_provenance

SCHEMA = 1


def conditions(device: torch.device, repeats: int) -> dict[str, Any]:
    """Where, with what and when it is measured."""
    found: Mapping[str, object] = collect_provenance(
        command=["dstbench", *sys.argv[1:]],
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
        dataset_sha256="",
        sessions=1,
        before=None,
    )
    kept = ("device", "cpu", "threads", "platform", "versions", "commit", "dirty", "command")
    return {
        **{key: found[key] for key in kept},
        "dtype": "float32",
        "memory_format": "channels_last",
        "repeats": repeats,
        "warm_up": WARM_UP,
        "time": time.time(),
    }


def measured(
    subject: Subject, batches: list[int], repeats: int, device: torch.device
) -> dict[str, Any]:
    """forms, timings, best_dense and failed, as docs/measuring.md has them."""
    rng = torch.Generator().manual_seed(0)
    examples = [
        torch.randn(batch, *subject.image_shape, generator=rng).to(
            device, memory_format=torch.channels_last
        )
        for batch in batches
    ]
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # on missing GPUs
    _note("preparing every form (compilers take a while)")
    trained = trained_forms(_placed(subject.model, device))
    dense, failed = dense_forms(_placed(subject.plain, device), examples)
    try:
        if device.type != "cpu":
            raise UserError("it runs on the CPU: --device cpu")
        trained.append(deployed_form(subject.model, subject.masks, subject.image_shape, batches))
    except (UserError, ImportError, TimeoutError) as error:
        failed["deployed"] = str(error)
    apart = differences(trained, examples[-1])
    forms = [*dense, *trained]
    timings = []
    for x in examples:
        _note(f"batch {len(x)}: {len(forms)} forms, {repeats} calls each")
        timings += in_turns(forms, x, repeats)
    return {
        "forms": [_form(form, apart) for form in forms],
        "timings": [_timing(timing) for timing in timings],
        "best_dense": {str(batch): _best(timings, dense, batch) for batch in batches},
        "failed": failed,
    }


def _placed(model: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cpu":
        return model
    return copy.deepcopy(model).to(device)


def _form(form: Form, apart: dict[str, float]) -> dict[str, Any]:
    return {
        "name": form.name, "how": form.how, "trained": form.trained,
        "difference": apart.get(form.name),
    }  # fmt: skip


def _timing(timing: Timing) -> dict[str, Any]:
    return {
        "form": timing.form, "batch": timing.batch, "latency_ms": timing.latency_ms,
        "quartiles_ms": list(timing.quartiles_ms), "images_per_s": timing.images_per_s,
    }  # fmt: skip


def _best(timings: list[Timing], dense: list[Form], batch: int) -> str:
    """The fastest of the dense forms at this batch size."""
    among = {form.name for form in dense}
    own = [t for t in timings if t.batch == batch and t.form in among]
    return min(own, key=lambda t: t.latency_ms).form


def _note(text: str) -> None:
    print(f"measure: {text}", file=sys.stderr, flush=True)

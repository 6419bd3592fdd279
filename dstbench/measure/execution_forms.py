"""The forms in which a trained network can run, all in fp32; see `dense_forms` for the others.

*masked* is the trained network as training leaves it, zeros multiplied. Then come the forms that
modules offer (their `forms()`: name → function that makes an equivalent module), such as DCTpS's
two branches. *deployed* is the network compiled by `dstbench deploy`.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.data.images import Shape
from dstbench.deployment.verify import relative_error
from dstbench.errors import UserError

MAX_DIFFERENCE = 1e-3  # of logits, relative to the largest: more is not rounding

Network = Callable[[Any], Any]


@dataclass(frozen=True)
class Form:
    """One form of a network.

    name: of the form.
    how: what was done to the network, for the reader.
    network: images (B, C, H, W) on its device → logits.
    trained: whether it computes the trained network; dense forms have fresh random weights.
    prepare: converts a batch tensor to what `network` takes; not timed.
    precision: in which it computes, "fp32" or "bf16".
    """

    name: str
    how: str
    network: Network
    trained: bool = True
    prepare: Callable[[Tensor], Any] = field(default=lambda x: x)
    precision: str = "fp32"


def trained_forms(model: nn.Module) -> list[Form]:
    """Return the masked form of a trained network, and the forms that its modules offer."""
    offered = {name: None for module in model.modules() for name in _offered(module)}
    return [
        Form("masked", "eager, dead weights as zeros", model),
        *(Form(name, "eager", in_form(model, name)) for name in offered),
    ]


def _offered(module: nn.Module) -> dict[str, Callable[[], nn.Module]]:
    return module.forms() if hasattr(module, "forms") else {}  # type: ignore[operator]


def in_form(model: nn.Module, name: str) -> nn.Module:
    """Return a copy of `model` with every module that offers the form `name` replaced by it."""
    result = copy.deepcopy(model)
    replaced: dict[nn.Module, nn.Module] = {}
    for path, module in [*result.named_modules(remove_duplicate=False)]:
        make = _offered(module).get(name)
        if make is None:
            continue
        replaced[module] = replaced.get(module) or make().train(module.training)
        if not path:
            return replaced[module]
        parent, _, child = path.rpartition(".")
        setattr(result.get_submodule(parent), child, replaced[module])
    return result


def deployed_form(
    model: nn.Module, masks: Masks, image_shape: Shape, batches: Sequence[int]
) -> Form:
    """Return the network compiled by `dstbench deploy`, on as many threads as torch has.

    model: in eval mode, on the CPU.
    masks: of the model.
    image_shape: channels, height, width.
    batches: batch sizes that will be measured.

    Raises UserError: when the network cannot be compiled.
    Raises ImportError: when numba is not installed.
    """
    if not masks:
        raise UserError("this network is dense")
    from dstbench.deployment import Network as DeployedNetwork
    from dstbench.deployment.compiler.compile import compile_network
    from dstbench.deployment.runtime.numba_interpreter import INTERPRETER

    threads = torch.get_num_threads()
    network = DeployedNetwork(compile_network(model, image_shape), threads, INTERPRETER)
    for batch in batches:
        network(np.zeros((batch, *image_shape), np.float32))  # numba compiles on first calls
    return Form("deployed", "dstbench deploy", network, prepare=lambda x: x.contiguous().numpy())


def differences(forms: Sequence[Form], x: Tensor) -> dict[str, float]:
    """Return `relative_differences`.

    Raises UserError: when a form differs by more than MAX_DIFFERENCE: it is another network.
    """
    found = relative_differences(forms, x)
    wrong = [name for name, difference in found.items() if not difference < MAX_DIFFERENCE]
    if wrong:
        raise UserError(
            f"{', '.join(wrong)}: the logits differ from the trained network's by "
            f"{found[wrong[0]]:.1e} of the largest, more than rounding explains. This is a defect "
            "of the form; nothing was measured."
        )
    return found


def relative_differences(forms: Sequence[Form], x: Tensor) -> dict[str, float]:
    """Return name → largest difference of a form's logits from the first one's.

    Differences are relative to the largest logit; see `relative_error`.

    x: images (B, C, H, W).
    """
    with torch.no_grad():
        outputs = {f.name: torch.as_tensor(f.network(f.prepare(x))) for f in forms}
    logits = {name: y.float().cpu().numpy() for name, y in outputs.items()}
    reference = next(iter(logits.values()))
    return {name: relative_error(y, reference) for name, y in logits.items()}

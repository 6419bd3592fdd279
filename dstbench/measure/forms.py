"""The ways to run one network, all in fp32.

*dense* forms are of the plain architecture with every weight there, the thing to be faster than;
*masked* is the trained network as training leaves it, zeros multiplied; what a module offers beside
(its `forms()`: name → what makes a module that computes the same) follows, such as DCTpS's two
branches; *deployed* is what `dstbench deploy` makes of it. Which form computes the same as which is
checked.
"""

import copy
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.core.masks import Masks
from dstbench.data.images import Shape
from dstbench.errors import UserError

COMPILE_SECONDS = 180  # for one compiler, all batch sizes together

Network = Callable[[Any], Any]


@dataclass(frozen=True)
class Form:
    """One way to run a network. network: images (B, C, H, W) on its device → logits.

    how: what was done to the network, for a reader. trained: whether it computes what the trained
    network does (else its weights are of no meaning). given: a batch as a tensor → as the network
    takes it, which is not timed.
    """

    name: str
    how: str
    network: Network
    trained: bool = True
    given: Callable[[Tensor], Any] = field(default=lambda x: x)


def dense_forms(model: nn.Module, examples: Sequence[Tensor]) -> tuple[list[Form], dict[str, str]]:
    """The ways to run a plain network, and those that do not work here, with the reason.

    model: in eval mode on its device, channels_last. examples: a batch of every size to come.
    """
    forms = [Form("dense", "eager", model, trained=False)]
    failed: dict[str, str] = {}
    for name, make in (("dense frozen", frozen), ("dense compiled", compiled)):
        try:
            how, network = make(model, examples)
            forms.append(Form(name, how, network, trained=False))
        except Exception as error:  # whatever a compiler comes up with; the others stand
            failed[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:300]
    return forms, failed


def trained_forms(model: nn.Module) -> list[Form]:
    """The trained network as it is, and as its modules offer to be run otherwise."""
    offered = {name: None for module in model.modules() for name in _offered(module)}
    return [
        Form("masked", "eager, dead weights as zeros", model),
        *(Form(name, "eager", in_form(model, name)) for name in offered),
    ]


def _offered(module: nn.Module) -> dict[str, Callable[[], nn.Module]]:
    return module.forms() if hasattr(module, "forms") else {}  # type: ignore[operator]


def in_form(model: nn.Module, name: str) -> nn.Module:
    """A copy of `model` in which every module that offers the form of this name has it."""
    twin = copy.deepcopy(model)
    made: dict[nn.Module, nn.Module] = {}
    for place, module in [*twin.named_modules(remove_duplicate=False)]:
        make = _offered(module).get(name)
        if make is None:
            continue
        made[module] = made.get(module) or make().train(module.training)
        if not place:
            return made[module]
        parent, _, child = place.rpartition(".")
        setattr(twin.get_submodule(parent), child, made[module])
    return twin


def frozen(model: nn.Module, examples: Sequence[Tensor]) -> tuple[str, Network]:
    """TorchScript with everything constant folded and fused."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated, and still the fastest for some
        traced = torch.jit.trace(model, examples[0], check_trace=False)
        script = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        for x in examples:
            for _ in range(2):  # TorchScript fuses in its second call of a shape
                script(x)
    return "TorchScript: traced, frozen, optimize_for_inference", script


def compiled(model: nn.Module, examples: Sequence[Tensor]) -> tuple[str, Network]:
    """torch.compile with constants folded, for each batch size by itself.

    Raises TimeoutError when that takes more than COMPILE_SECONDS.
    """
    torch._dynamo.reset()
    torch._dynamo.config.recompile_limit = max(8, len(examples))
    network = torch.compile(model, dynamic=False, options={"freezing": True})
    with within(COMPILE_SECONDS), torch.no_grad():
        for x in examples:
            network(x)
    return "torch.compile: freezing, one program a batch size", network


def deployed_form(
    model: nn.Module, masks: Masks, image_shape: Shape, batches: Sequence[int]
) -> Form:
    """The network compiled by `dstbench deploy`, on as many threads as torch has.

    model: in eval mode, on the CPU. Raises UserError for one that it cannot compile, ImportError
    where it is not installed, TimeoutError when it takes more than COMPILE_SECONDS.
    """
    if not masks:
        raise UserError("this network is dense")
    from dstbench.deploy import Network as Deployed
    from dstbench.deploy.compiler.compile import compile_network

    with within(COMPILE_SECONDS):
        network = Deployed(compile_network(model, image_shape), torch.get_num_threads())
        for batch in batches:
            network(np.zeros((batch, *image_shape), np.float32))  # numba compiles at first
    return Form("deployed", "dstbench deploy", network, given=lambda x: x.contiguous().numpy())


def differences(forms: Sequence[Form], x: Tensor) -> dict[str, float]:
    """Name → largest difference of a form's logits from the first one's, as a share of the largest.

    Raises UserError for a form that computes something else: then no time of it means anything.
    """
    with torch.no_grad():
        logits = {f.name: torch.as_tensor(f.network(f.given(x))).float().cpu() for f in forms}
    first = next(iter(logits.values()))
    scale = first.abs().max().clamp_min(1e-30)
    found = {name: float((y - first).abs().max() / scale) for name, y in logits.items()}
    wrong = [name for name, difference in found.items() if not difference < 1e-3]
    if wrong:
        raise UserError(
            f"{', '.join(wrong)}: the logits differ from the trained network's by "
            f"{found[wrong[0]]:.1e} of the largest, more than rounding explains. This is a defect "
            "of the form; nothing was measured."
        )
    return found


class _TooLong(BaseException):
    """Time is up; no Exception, so that a compiler does not take it for its own."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after the block was given so many seconds, where signals can be had."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    except _TooLong:
        raise TimeoutError(f"not done within {seconds} s") from None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

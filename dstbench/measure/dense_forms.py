"""The forms of the plain architecture with every weight live: the references to beat.

Each is a way in which someone without sparsity would run the network on this machine, in fp32 and,
where the machine computes in it, bf16.
"""

import copy
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dstbench.errors import UserError
from dstbench.measure.budget import Budget
from dstbench.measure.execution_forms import MAX_DIFFERENCE, Form, Network, relative_differences
from dstbench.measure.rivals import Rivals
from dstbench.training.device import computes_bf16

MAX_DIFFERENCE_BF16 = 0.1  # of logits: bf16 has 8 bits of precision, and rounds in every layer


def dense_forms(
    model: nn.Module, examples: Sequence[Tensor], budget: Budget | None = None
) -> tuple[list[Form], dict[str, str]]:
    """Return the dense forms of a plain network, and name → reason of those that fail here.

    A form whose logits are not those of the eager network fails, too.

    model: in eval mode on its device, channels_last.
    examples: a batch of every size that will be measured.
    budget: of all forms together; None for no limit.
    """
    budget = budget or Budget()
    rivals = Rivals(model, examples)
    makers: dict[str, Callable[[], Form]] = {
        "onnxruntime": rivals.onnxruntime,
        "openvino": rivals.openvino,
        "openvino bf16": rivals.openvino_bf16,
        "dense frozen": lambda: _frozen(model, examples),
        "dense bf16": lambda: _frozen_bf16(model, examples),
        "dense compiled": lambda: _compiled(model, examples),  # the longest, with what is left
    }
    dense = Form("dense", "eager", model, trained=False)
    forms, failed = [dense], dict[str, str]()
    for name, make in makers.items():
        try:
            with budget.preparing(name, interrupt=name == "dense compiled"):
                form = make()
                _check(form, dense, examples[0])
            forms.append(form)
        except Exception as error:  # compilers raise anything; the other forms are still measured
            failed[name] = failure(error)
    return forms, failed


def failure(error: Exception) -> str:
    """Return in one line why a form cannot be measured."""
    line = (str(error).splitlines() or [""])[0]
    known = isinstance(error, UserError | TimeoutError | ImportError)
    return line if known else f"{type(error).__name__}: {line}"[:300]


def _check(form: Form, dense: Form, x: Tensor) -> None:
    limit = MAX_DIFFERENCE if form.precision == "fp32" else MAX_DIFFERENCE_BF16
    difference = relative_differences([dense, form], x)[form.name]
    if not difference < limit:
        raise UserError(f"its logits differ from the eager network's by {difference:.1e}")


def _frozen(model: nn.Module, examples: Sequence[Tensor]) -> Form:
    return Form("dense frozen", *freeze(model, examples), trained=False)


def _compiled(model: nn.Module, examples: Sequence[Tensor]) -> Form:
    return Form("dense compiled", *compile_frozen(model, examples), trained=False)


def _frozen_bf16(model: nn.Module, examples: Sequence[Tensor]) -> Form:
    if not computes_bf16(examples[0].device):
        raise UserError("this device does not compute in bf16")
    how, network = freeze(
        copy.deepcopy(model).to(torch.bfloat16), [x.to(torch.bfloat16) for x in examples]
    )
    return Form("dense bf16", how, network, False, lambda x: x.to(torch.bfloat16), "bf16")


def freeze(model: nn.Module, examples: Sequence[Tensor]) -> tuple[str, Network]:
    """Return how it was made, and TorchScript with constants folded and operators fused."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated, and the fastest for some
        traced = torch.jit.trace(model, examples[0], check_trace=False)
        script = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        for x in examples:
            for _ in range(2):  # TorchScript fuses in its second call of a shape
                script(x)
    return "TorchScript: traced, frozen, optimize_for_inference", script


def compile_frozen(model: nn.Module, examples: Sequence[Tensor]) -> tuple[str, Network]:
    """Return how it was made, and torch.compile's network with constants folded.

    Each batch size is compiled separately.
    """
    torch.compiler.reset()
    # Private. A test fails by this name on a torch without it.
    torch._dynamo.config.recompile_limit = max(8, len(examples))
    network = torch.compile(model, dynamic=False, options={"freezing": True})
    with torch.no_grad():
        for x in examples:
            network(x)
    return "torch.compile: freezing, one program a batch size", network

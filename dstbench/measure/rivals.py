"""Dense forms in the runtimes that CPUs are served with: onnxruntime and OpenVINO.

Both read the ONNX model that `dstbench deploy` writes, here of the plain dense architecture, and
run it on as many threads as torch has.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dstbench.deployment.onnx_export import onnx_bytes
from dstbench.errors import UserError
from dstbench.graph.trace import trace
from dstbench.measure.execution_forms import Form

INSTALL = "pip install 'dstbench[rivals]'"


class Rivals:
    """Makes the forms of one dense network; the ONNX model is made for the first of them.

    model: in eval mode, channels_last.
    examples: a batch of every size that will be measured.
    """

    def __init__(self, model: nn.Module, examples: Sequence[Tensor]):
        self._model, self._examples = model, examples
        self._content: bytes | None = None

    def onnxruntime(self) -> Form:
        """Return the network in onnxruntime, one session for all batch sizes.

        Raises UserError: without the library, on a GPU, or when the network cannot be exported.
        """
        content = self._onnx()
        with _needing("onnxruntime"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

        def network(images: np.ndarray) -> np.ndarray:
            return np.asarray(session.run(["logits"], {"images": images})[0])

        how = f"onnxruntime {onnxruntime.__version__}: fp32, its threads spin as by default"
        return _form("onnxruntime", how, network)

    def openvino(self) -> Form:
        """Return the network in OpenVINO, fp32. Raises UserError as `onnxruntime` does."""
        return self._openvino("f32")

    def openvino_bf16(self) -> Form:
        """Return the network in OpenVINO, bf16.

        Raises UserError: as `onnxruntime` does, and where OpenVINO finds no bf16 on this CPU.
        """
        return self._openvino("bf16")

    def _openvino(self, precision: str) -> Form:
        content = self._onnx()
        with _needing("openvino"):
            import openvino
        core = _core()
        if precision == "bf16":
            able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            if "BF16" not in able:
                raise UserError("OpenVINO reports no bf16 on this CPU")
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": 1,
        }
        requests = {}
        for x in self._examples:
            model = core.read_model(content)
            model.reshape(list(x.shape))  # kernels for a known shape are faster
            requests[len(x)] = core.compile_model(model, "CPU", settings).create_infer_request()

        def network(images: np.ndarray) -> np.ndarray:
            found = requests[len(images)].infer([images], share_inputs=True, share_outputs=True)
            return np.asarray(found[0])

        name = "openvino" if precision == "f32" else f"openvino {precision}"
        how = f"OpenVINO {openvino.get_version().partition('-')[0]}: {precision}, "
        how += "one stream, one program a batch size"
        return _form(name, how, network, precision="fp32" if precision == "f32" else precision)

    def _onnx(self) -> bytes:
        if self._examples[0].device.type != "cpu":
            raise UserError("it is measured on the CPU: --device cpu")
        if self._content is None:
            shape = self._examples[0].shape[1:]
            image_shape = (shape[0], shape[1], shape[2])
            with _needing("onnx"):
                self._content = onnx_bytes(trace(self._model, image_shape), image_shape)
        return self._content


@contextmanager
def _needing(library: str) -> Iterator[None]:
    """Raise UserError, with what installs the library, where a block cannot import it."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"needs {library}, which cannot be imported ({error}): {INSTALL}") from None


@cache
def _core() -> Any:
    """Return OpenVINO's core, kept while the process lives.

    After it was freed, the next signal, such as that of Ctrl-C, crashed the process (2026.4); the
    stack for signals that its CPU plugin gives the thread is the likely cause.
    """
    import openvino

    return openvino.Core()


def _form(name: str, how: str, network: Any, precision: str = "fp32") -> Form:
    return Form(name, how, network, False, lambda x: x.contiguous().numpy(), precision)

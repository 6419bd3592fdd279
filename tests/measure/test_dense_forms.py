"""Dense forms: they compute the dense network, and one that fails leaves the others."""

import sys

import pytest
import torch
from helpers.tiny_runs import IMAGE, tiny_resnet

from dstbench.errors import UserError
from dstbench.measure import dense_forms as module
from dstbench.measure.budget import Budget
from dstbench.measure.dense_forms import dense_forms, freeze
from dstbench.measure.execution_forms import Form, relative_differences
from dstbench.measure.rivals import Rivals
from dstbench.training.device import computes_bf16

RIVALS = ["onnxruntime", "openvino", "openvino bf16"]


@pytest.fixture
def model():
    return tiny_resnet("basic", (1, 3), seed=0).eval()


@pytest.fixture
def no_compiler(monkeypatch):
    """torch.compile fails, as without a C++ compiler: it would take a while."""

    def fail(model, examples):
        raise RuntimeError("no C++ here\nand a page of more")

    monkeypatch.setattr(module, "compile_frozen", fail)


def images(*batches):
    rng = torch.Generator().manual_seed(1)
    return [
        torch.randn(batch, *IMAGE, generator=rng).contiguous(memory_format=torch.channels_last)
        for batch in batches
    ]


def test_frozen_form_computes_the_same(model):
    examples = images(1, 4)
    _, frozen = freeze(model, examples)
    with torch.no_grad():
        for x in examples:
            torch.testing.assert_close(frozen(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RIVALS)
def test_rival_computes_the_dense_network_at_every_batch_size(model, name):
    for library in ("onnx", name.partition(" ")[0]):
        pytest.importorskip(library)
    examples = images(1, 5)
    try:
        form = getattr(Rivals(model, examples), name.replace(" ", "_"))()
    except UserError as error:
        assert "reports no bf16" in error.message
        pytest.skip("needs a CPU with bf16")
    assert (form.name, form.trained) == (name, False)
    assert form.precision == ("bf16" if "bf16" in name else "fp32")
    for x in examples:
        found = relative_differences([Form("dense", "", model), form], x)[name]
        assert found < 1e-4 if form.precision == "fp32" else 1e-5 < found < 0.1


def test_bf16_form_is_there_where_the_cpu_computes_bf16(model, no_compiler):
    forms, failed = dense_forms(model, images(2))
    there = {form.name: form for form in forms}
    assert ("dense bf16" in there) == computes_bf16(torch.device("cpu"))
    assert ("dense bf16" in failed) != ("dense bf16" in there)


def test_failing_compiler_is_reported_and_other_forms_remain(model, no_compiler):
    forms, failed = dense_forms(model, images(3))
    assert {"dense", "dense frozen"} <= {form.name for form in forms}
    assert failed["dense compiled"] == "RuntimeError: no C++ here"


@pytest.mark.parametrize("missing, lost", [("onnx", RIVALS), ("openvino", RIVALS[1:])])
def test_missing_library_is_named_with_what_installs_it(
    model, no_compiler, monkeypatch, missing, lost
):
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, missing, None)
    _, failed = dense_forms(model, images(1))
    for name in lost:
        assert failed[name].startswith(f"needs {missing}")
        assert failed[name].endswith("pip install 'dstbench[rivals]'")


def test_form_of_another_network_is_not_measured(model, no_compiler, monkeypatch):
    monkeypatch.setattr(module, "freeze", lambda model, examples: ("", lambda x: 1.1 * model(x)))
    forms, failed = dense_forms(model, images(2))
    assert "dense frozen" not in {form.name for form in forms}
    assert "its logits differ from the eager network's" in failed["dense frozen"]


def test_forms_that_do_not_fit_into_the_time_are_reported_with_the_option(model):
    steps = []
    forms, failed = dense_forms(model, images(2), Budget(1e-9, show=steps.append))
    assert [form.name for form in forms] == ["dense"]
    assert "--seconds" in failed["dense compiled"] and "Traceback" not in str(failed)
    assert steps[-1] == "preparing dense compiled"


@pytest.mark.slow
def test_torch_has_the_private_names_that_are_used():
    import torch._dynamo

    assert hasattr(torch._dynamo.config, "recompile_limit"), (
        f"torch {torch.__version__} has no torch._dynamo.config.recompile_limit, which "
        "dstbench.measure.dense_forms.compile_frozen sets, so that more than eight batch sizes "
        "are compiled. Find its new name."
    )
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        assert hasattr(torch.cpu, name), f"torch {torch.__version__} has no torch.cpu.{name}"

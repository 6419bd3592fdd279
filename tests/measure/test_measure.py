"""Measuring: forms that compute the same, turns that are fair, and figures that hang together."""

import itertools
import json
import shutil
import time

import pytest
import torch
from helpers.tiny_runs import IMAGE, operated, tiny_resnet
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError
from dstbench.measure import forms as making
from dstbench.measure.forms import Form, differences, in_form, trained_forms, within
from dstbench.measure.timing import BURST, WARM_UP, in_turns
from dstbench.methods.dctps import DCTConv2d, DCTLinear, DCTpS, TwoBranches
from dstbench.methods.weight_sharing import SharedConv2d, WeightSharing
from dstbench.sparsity import live_total

# --- forms ----------------------------------------------------------------------------------------


def trained(parts, seed=0):
    """A network operated on by parts, with weights, scales and statistics of no special values."""
    _, state = operated(tiny_resnet("basic", (1, 3), seed=seed), parts)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*state.model.parameters(), *state.model.buffers()):
            if tensor.is_floating_point() and tensor.shape != torch.Size([0]):
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=rng))
    return state.model.eval()


def images(batch=3):
    x = torch.randn(batch, *IMAGE, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "parts, names",
    [
        ([], ["masked"]),
        ([DCTpS()], ["masked", "two-branch", "merged"]),
        ([WeightSharing()], ["masked", "merged"]),
    ],
    ids=["plain", "DCTpS", "weight sharing"],
)
def test_every_form_of_a_trained_network_computes_the_same(parts, names):
    model = trained(parts)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    forms = trained_forms(model)
    assert [form.name for form in forms] == names
    assert all(share < 1e-5 for share in differences(forms, images()).values())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_merging_leaves_plain_layers_only():
    for parts in ([DCTpS()], [WeightSharing()]):
        merged = in_form(trained(parts), "merged")
        kinds = {type(m) for m in merged.modules()}
        assert nn.Conv2d in kinds and not kinds & {DCTConv2d, DCTLinear, SharedConv2d}
        assert not merged.training


def test_two_branches_are_two_layers_each():
    model = trained([DCTpS()])
    layers = sum(isinstance(m, DCTConv2d | DCTLinear) for m in model.modules())
    twin = in_form(model, "two-branch")
    assert sum(isinstance(m, TwoBranches) for m in twin.modules()) == layers
    assert sum(type(m) in (nn.Conv2d, nn.Linear) for m in twin.modules()) == 2 * layers


def test_a_module_in_two_places_stays_one_in_another_form():
    layer = DCTConv2d(nn.Conv2d(3, 3, 1))
    twin = in_form(nn.Sequential(layer, nn.ReLU(), layer), "merged")
    assert twin[0] is twin[2] and type(twin[0]) is nn.Conv2d
    assert type(in_form(layer, "merged")) is nn.Conv2d


def test_a_frozen_network_computes_the_same():
    model, examples = trained([]), [images(1), images(4)]
    _, frozen = making.frozen(model, examples)
    with torch.no_grad():
        for x in examples:
            torch.testing.assert_close(frozen(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_form_that_computes_something_else_is_refused():
    model = trained([])
    with pytest.raises(UserError, match=r"wrong: the logits differ .* by 1\.0e-01"):
        differences(
            [Form("right", "", model), Form("wrong", "", lambda x: 1.1 * model(x))], images()
        )
    with pytest.raises(UserError, match="wrong"):
        differences(
            [Form("right", "", model), Form("wrong", "", lambda x: torch.nan * model(x))], images()
        )


def test_a_compiler_that_fails_is_told_and_the_others_stand(monkeypatch):
    def broken(model, examples):
        raise RuntimeError("no C++ here\nand a page of more")

    monkeypatch.setattr(making, "compiled", broken)
    forms, failed = making.dense_forms(trained([]), [images()])
    assert [form.name for form in forms] == ["dense", "dense frozen"]
    assert failed == {"dense compiled": "RuntimeError: no C++ here"}


def test_what_takes_too_long_is_given_up():
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="within 1 s"), within(1):
        time.sleep(30)
    assert time.monotonic() - began < 10
    with within(1):
        pass
    time.sleep(1.2)  # the alarm is off


# --- timing ---------------------------------------------------------------------------------------


@given(st.integers(1, 35), st.integers(1, 4))
def test_forms_take_turns_and_each_is_timed_as_often_as_asked(repeats, count):
    calls = []
    forms = [Form(f"{i}", "", lambda x, i=i: calls.append(i)) for i in range(count)]
    timings = in_turns(forms, torch.zeros(2, 1), repeats)
    assert [t.form for t in timings] == [form.name for form in forms]
    turns = -(-repeats // BURST)
    for i in range(count):
        assert calls.count(i) == WARM_UP + repeats + turns
    changes = sum(a != b for a, b in itertools.pairwise(calls))
    assert changes == (0 if count == 1 else count * (1 + turns) - 1)


def test_latency_is_the_median_in_milliseconds_and_throughput_its_inverse():
    pauses = iter([0.0] * (WARM_UP + 1) + [0.001, 0.05, 0.02, 0.02, 0.02])
    (timing,) = in_turns([Form("a", "", lambda x: time.sleep(next(pauses)))], torch.zeros(4, 1), 5)
    assert 20 <= timing.latency_ms < 40
    lower, upper = timing.quartiles_ms
    assert lower <= timing.latency_ms <= upper
    assert timing.images_per_s == pytest.approx(4 / (timing.latency_ms / 1000))


def test_preparing_the_batch_is_not_timed():
    form = Form("a", "", lambda x: None, given=lambda x: time.sleep(0.2))
    assert in_turns([form], torch.zeros(1, 1), 3)[0].latency_ms < 100


# --- the command ----------------------------------------------------------------------------------

SHORT = ("--set", "Run.epochs=2", "--set", "ResNet20.width=2", "--quiet", "--tracking", "off",
         "--threads", "1")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished DCTpS run."""
    from dstbench.cli.main import main

    runs = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit) as exit:
        main(["run", str(shipped("methods")["dctps"]), "--sparsity", "0.8", "--runs", str(runs),
              *SHORT])  # fmt: skip
    assert exit.value.code == 0
    return next(runs.iterdir())


@pytest.fixture
def no_compiler(monkeypatch):
    """torch.compile takes a while; the fallback is quick."""

    def broken(model, examples):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(making, "compiled", broken)


def test_json_tells_all_of_it(run, call, no_compiler):
    code, out, _ = call(
        "measure", str(run), "--batch", "4,1", "--repeats", "3", "--threads", "1", "--json"
    )
    assert code == 0
    told = json.loads(out)
    record = json.loads((run / "record.json").read_text())
    assert (
        next(iter(told)) == "schema"
        and told["schema"] == 1
        and not told["worst_case"]
        and told["run"] == run.name
    )
    for key in ("method", "model", "dataset", "seed"):
        assert told[key] == record[key]
    assert told["sparsity"] == {k: record["sparsity"][k] for k in ("asked", "measured")}
    assert told["live_weights"] == record["cost"]["live_weights"]
    assert told["threads"] == 1 and told["versions"]["torch"] == torch.__version__.split("+")[0]
    assert told["failed"]["dense compiled"] == "RuntimeError: no compiler"
    names = [form["name"] for form in told["forms"]]
    assert names[:5] == ["dense", "dense frozen", "masked", "two-branch", "merged"]
    assert names[5:] == ["deployed"] or "deployed" in told["failed"]
    pairs = [(t["form"], t["batch"]) for t in told["timings"]]
    assert sorted(pairs) == sorted((name, batch) for name in names for batch in (1, 4))
    for t in told["timings"]:
        assert t["quartiles_ms"][0] <= t["latency_ms"] <= t["quartiles_ms"][1]
        assert t["images_per_s"] == pytest.approx(1000 * t["batch"] / t["latency_ms"])
    for batch in (1, 4):
        dense = {t["form"]: t["latency_ms"] for t in told["timings"]
                 if t["batch"] == batch and t["form"].startswith("dense")}  # fmt: skip
        assert told["best_dense"][str(batch)] == min(dense, key=dense.get)


def test_a_table_for_people(run, call, no_compiler):
    code, out, err = call("measure", str(run), "--batch", "2", "--repeats", "2", "--threads", "1")
    assert code == 0 and "DCTpS · ResNet20 · digits" in out
    for name in ("dense frozen", "masked", "two-branch", "merged"):
        assert name in out
    assert "Not measured: dense compiled (RuntimeError: no compiler)" in out
    assert "best dense" in out and "preparing" in err


def test_a_worst_case_needs_no_run(call, no_compiler):
    pytest.importorskip("numba")
    code, out, err = call(
        "measure", "--worst-case", "ResNet20", "--sparsity", "0.95", "--image", "1,8,8",
        "--classes", "4", "--batch", "2", "--repeats", "1", "--threads", "1", "--json",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    assert told["worst_case"] and told["run"] is None and told["model"] == "ResNet20"
    assert told["image_shape"] == [1, 8, 8] and told["classes"] == 4
    assert told["live_weights"] == live_total(0.95, told["prunable_weights"])
    forms = {form["name"]: form for form in told["forms"]}
    assert forms.keys() == {"dense", "dense frozen", "masked", "deployed"}
    assert forms["deployed"]["difference"] < 1e-4 and forms["dense"]["difference"] is None


def test_a_run_is_left_as_it_was(run, call, no_compiler):
    before = {p.name: p.read_bytes() for p in run.iterdir()}
    call("measure", str(run), "--batch", "1", "--repeats", "1", "--threads", "1")
    assert {p.name: p.read_bytes() for p in run.iterdir()} == before


@pytest.mark.parametrize(
    "arguments, says",
    [
        ((), "name one thing to measure"),
        (("a", "--worst-case", "ResNet20"), "name one thing to measure"),
        (("nothing",), "nothing: no such run"),
        (("a", "--sparsity", "0.9"), "--sparsity is for --worst-case"),
        (("--worst-case", "ResNet20"), "--worst-case needs a --sparsity"),
        (("--worst-case", "ResNet2", "--sparsity", "0.9"), "Did you mean 'ResNet20'"),
        (("a", "--batch", "1,x"), "--batch 1,x: expected whole numbers"),
        (("a", "--batch", ""), "expected whole numbers"),
        (("a", "--batch", "0"), "expected whole numbers"),
        (("a", "--repeats", "0"), "--repeats 0: must be at least 1"),
        (("a", "--threads", "0"), "--threads 0"),
        (("a", "--device", "nowhere"), "--device nowhere"),
    ],
)
def test_mistakes_are_said_once(arguments, says, call, tmp_path):
    code, out, err = call("measure", *arguments, "--runs", str(tmp_path))
    assert code == 2 and says in err and not out and "Traceback" not in err


def test_a_run_without_its_network_is_refused(run, call, tmp_path):
    copy = shutil.copytree(run, tmp_path / run.name)
    (copy / "network.pt").unlink()
    code, _, err = call("measure", str(copy))
    assert code == 2 and "network.pt: no such file" in err

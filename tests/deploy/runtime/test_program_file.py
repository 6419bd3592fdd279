"""Files of a deployed network: whole, read without torch, and refused clearly when they are not."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.deploy_networks import random_net
from helpers.tiny_runs import logits, started, tiny_resnet
from hypothesis import given
from hypothesis import strategies as st

from dstbench.core.budgets import ERK
from dstbench.deploy import load
from dstbench.deploy.compiler.compile import compile_network
from dstbench.deploy.compiler.trace import trace
from dstbench.deploy.onnx_export import write_onnx
from dstbench.deploy.runtime.network import Network
from dstbench.deploy.runtime.program_file import read, write_bytes
from dstbench.deploy.sparse_weights import read_weights_, write_weights
from dstbench.deploy.verify import check_onnx
from dstbench.errors import UserError

IMAGE = (3, 9, 7)
ABOUT = {"classes": ["a", "b", "c"], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def content():
    return write_bytes(compile_network(random_net(5), IMAGE, ABOUT))


@pytest.fixture
def network(content, tmp_path):
    (tmp_path / "network.dst").write_bytes(content)
    return load(tmp_path / "network.dst", threads=2)


def test_a_file_says_what_the_network_did(network):
    images = torch.randn(9, *IMAGE)
    with torch.no_grad():
        wanted = random_net(5)(images).numpy()
    assert np.allclose(network(images.numpy()), wanted, rtol=1e-4, atol=1e-5)
    assert network.classes == ["a", "b", "c"]
    assert network.image_shape == IMAGE


def test_every_batch_size_gives_the_same(network):
    images = np.random.default_rng(0).standard_normal((13, *IMAGE)).astype(np.float32)
    whole = network(images)
    for n in (0, 1, 2, 3, 5, 8):
        assert np.allclose(network(images[:n]), whole[:n], rtol=1e-5, atol=1e-6)


def test_bytes_are_normalised_as_in_training(network):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 7, 3)).astype(np.uint8)
    pixels.flags.writeable = False  # as a memory-mapped file is
    scaled = (pixels / 255 - ABOUT["mean"]) / ABOUT["std"]
    floats = scaled.transpose(0, 3, 1, 2).astype(np.float32)
    assert np.allclose(network(pixels), network(floats), rtol=1e-4, atol=1e-5)
    labels = network(pixels).argmax(1)
    assert network.accuracy(pixels, labels) == 100


def test_one_image_with_nan_spoils_no_other(network):
    images = np.random.default_rng(0).standard_normal((6, *IMAGE)).astype(np.float32)
    clean = network(images)
    images[1] = np.nan
    for _ in range(2):
        spoilt = network(images)
        assert np.isnan(spoilt[1]).any()  # no class is made up for it
        assert (np.delete(spoilt, 1, 0) == np.delete(clean, 1, 0)).all()
    assert (network(np.nan_to_num(images))[2:] == clean[2:]).all()


def test_nan_goes_through_every_kind_of_operation(tmp_path):
    image = (1, 8, 8)
    for pool in ("max", "mean"):
        model = random_net(1, pool=pool, image=image, sparsity=0.0)
        network = Network(compile_network(model, image), 1)
        images = np.zeros((1, *image), np.float32)
        images[0, 0, 3, 3] = np.nan
        assert np.isnan(network(images)).all()


def test_labels_must_be_one_an_image(network):
    images = np.zeros((3, *IMAGE), np.float32)
    assert network.accuracy(images, network(images).argmax(1).tolist()) == 100
    for labels in (np.zeros((3, 1)), np.zeros(2), [[0, 0, 0]]):
        with pytest.raises(UserError, match=r"expected \[3\]"):
            network.accuracy(images, labels)


def test_threads_are_a_whole_number(network, monkeypatch):
    for threads in (0, -1, 1.5, "2"):
        with pytest.raises(UserError, match="whole number of at least 1"):
            Network(network._program, threads)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)  # as on macOS
    assert Network(network._program).threads == os.cpu_count()


def test_a_network_may_be_called_from_several_threads(network):
    images = np.random.default_rng(0).standard_normal((40, 5, *IMAGE)).astype(np.float32)
    alone = [network(batch) for batch in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(network, images))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize(
    "images", [np.zeros((1, 3, 9, 8), np.float32), np.zeros((1, *IMAGE)), np.zeros(IMAGE, np.uint8)]
)
def test_other_images_are_refused(network, images):
    with pytest.raises(UserError, match=r"expected uint8 \[n, 9, 7, 3\], or normalised float32"):
        network(images)


def test_running_a_network_needs_no_torch(content, tmp_path):
    (tmp_path / "network.dst").write_bytes(content)
    code = (
        "import sys, numpy as np\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'safetensors', 'gin', 'mlflow', 'onnx'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from dstbench.deploy import load\n"
        f"print(load({str(tmp_path / 'network.dst')!r})(np.zeros((2, 3, 9, 7), np.float32)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "(2, 3)\n", done.stderr


# --- files that are not sound ---------------------------------------------------------------------


@given(data=st.data())
def test_a_damaged_file_is_refused_in_one_line(content, data, tmp_path_factory):
    damage = data.draw(st.sampled_from(["cut", "flip"]))
    at = data.draw(st.integers(0, len(content) - 1))
    broken = bytearray(content[:at] if damage == "cut" else content)
    if damage == "flip":
        broken[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("broken") / "network.dst"
    path.write_bytes(bytes(broken))
    try:
        network = load(path)
    except UserError as error:
        assert str(path) in error.message
        assert "\n" not in error.message
    else:  # another way to write the very same header
        assert write_bytes(network._program) == content


def test_foreign_and_newer_files_are_told_apart(content, tmp_path):
    path = tmp_path / "network.dst"
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])

    def rewritten(metadata):
        text = json.dumps({**header, "__metadata__": metadata}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])

    known = header["__metadata__"]
    rewritten(known | {"version": "2"})
    with pytest.raises(UserError, match="version 2; this dstbench reads up to 1"):
        load(path)
    rewritten(known | {"about": known["about"].replace("0.5", "0.6")})
    with pytest.raises(UserError, match="does not match its checksum"):
        load(path)
    for other in (known | {"format": "other"}, 5, None, []):
        rewritten(other)
        with pytest.raises(UserError, match="is not a network that dstbench compiled"):
            load(path)
    nested = b"[" * 100_000
    path.write_bytes(len(nested).to_bytes(8, "little") + nested)
    with pytest.raises(UserError, match="is not a network that dstbench compiled"):
        load(path)
    path.write_bytes(b"PK\x03\x04 not a network at all")
    with pytest.raises(UserError, match="is not a network file"):
        load(path)
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "nowhere.dst")


@pytest.mark.parametrize(
    "part, value",
    [("image_shape", (3, 9)), ("image_shape", (3, 9, 0)), ("image_shape", (3, 9, 8)),
     ("image_shape", (2, 9, 7)), ("classes", 2), ("about", []), ("about", {"classes": ["a"]}),
     ("about", {"mean": [0.5]})],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused(content, tmp_path, part, value):
    path = tmp_path / "network.dst"
    path.write_bytes(content)
    program = read(path)
    path.write_bytes(write_bytes(replace(program, **{part: value})))
    with pytest.raises(UserError, match=r"network\.dst: is no (sound|whole) network"):
        load(path)


# --- the other files ------------------------------------------------------------------------------


def test_weights_go_into_a_file_and_back(tmp_path):
    _, state = started(tiny_resnet(seed=1), [ERK(0.6)])
    path = tmp_path / "weights.safetensors"
    path.write_bytes(write_weights(state.model, state.masks))
    _, other = started(tiny_resnet(seed=2), [ERK(0.6)], seed=3)
    read_weights_(path, other.model, other.masks)
    assert (logits(other.model) == logits(state.model)).all()
    assert all((other.masks[name] == mask).all() for name, mask in state.masks.items())
    _, wider = started(tiny_resnet(width=6), [ERK(0.6)])
    with pytest.raises(UserError, match="the model's of"):
        read_weights_(path, wider.model, wider.masks)


@given(seed=st.integers(0, 10**6), sparsity=st.sampled_from([0.0, 0.8, 0.95, 1.0]),
       pool=st.sampled_from(["none", "max", "ceil", "mean"]), shared=st.booleans(),
       head=st.sampled_from(["mean", "flat"]))  # fmt: skip
def test_onnx_computes_the_same(seed, **settings):
    model = random_net(seed, **settings)
    images = torch.randn(3, *IMAGE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model(images).numpy()
    assert check_onnx(write_onnx(trace(model, IMAGE), IMAGE), images.numpy(), wanted) <= 1e-4

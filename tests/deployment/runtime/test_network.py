"""A loaded network as a function of images: any batch size, dtype and thread."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.deploy_networks import IMAGE, logits_of, noise, random_net

from dstbench.deployment import load
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program_file import write_bytes
from dstbench.errors import UserError

ABOUT = {"classes": ["a", "b", "c"], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


@pytest.fixture(scope="module")
def content():
    return write_bytes(compile_network(random_net(5), IMAGE, ABOUT))


@pytest.fixture
def network(content, tmp_path):
    (tmp_path / "network.dst").write_bytes(content)
    return load(tmp_path / "network.dst", threads=2)


def test_loaded_network_has_the_logits_and_description_of_the_trained_one(network):
    images = noise(9)
    expected = logits_of(random_net(5), images)
    assert np.allclose(network(images.numpy()), expected, rtol=1e-4, atol=1e-5)
    assert network.classes == ["a", "b", "c"]
    assert network.image_shape == IMAGE


def test_network_gives_the_same_logits_for_every_batch_size(network):
    images = noise(13).numpy()
    logits = network(images)
    for n in (0, 1, 2, 3, 5, 8):
        assert np.allclose(network(images[:n]), logits[:n], rtol=1e-5, atol=1e-6)


def test_network_normalises_uint8_images_as_in_training(network):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 9, 7, 3)).astype(np.uint8)
    pixels.flags.writeable = False  # as a memory-mapped file is
    scaled = (pixels / 255 - ABOUT["mean"]) / ABOUT["std"]
    floats = scaled.transpose(0, 3, 1, 2).astype(np.float32)
    assert np.allclose(network(pixels), network(floats), rtol=1e-4, atol=1e-5)
    labels = network(pixels).argmax(1)
    assert network.accuracy(pixels, labels) == 100


def test_network_without_mean_and_std_refuses_uint8_images():
    network = Network(compile_network(random_net(5), IMAGE), 1)
    with pytest.raises(UserError, match="give it normalised float32 images"):
        network(np.zeros((1, 9, 7, 3), np.uint8))


def test_nan_in_one_image_changes_no_other_logits(network):
    images = noise(6).numpy()
    clean = network(images)
    images[1] = np.nan
    for _ in range(2):
        logits = network(images)
        assert np.isnan(logits[1]).any()  # no class is invented for it
        assert (np.delete(logits, 1, 0) == np.delete(clean, 1, 0)).all()
    assert (network(np.nan_to_num(images))[2:] == clean[2:]).all()


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_nan_propagates_through_every_kind_of_operation(pool):
    image = (1, 8, 8)
    model = random_net(1, pool=pool, image=image, sparsity=0.0)
    network = Network(compile_network(model, image), 1)
    images = np.zeros((1, *image), np.float32)
    images[0, 0, 3, 3] = np.nan
    assert np.isnan(network(images)).all()


def test_accuracy_needs_one_label_an_image(network):
    images = np.zeros((3, *IMAGE), np.float32)
    assert network.accuracy(images, network(images).argmax(1).tolist()) == 100
    for labels in (np.zeros((3, 1)), np.zeros(2), [[0, 0, 0]]):
        with pytest.raises(UserError, match=r"expected \[3\]"):
            network.accuracy(images, labels)


def test_threads_must_be_a_whole_number_and_default_to_all(network, monkeypatch):
    for threads in (0, -1, 1.5, "2"):
        with pytest.raises(UserError, match="whole number of at least 1"):
            Network(network._program, threads)
    monkeypatch.delattr("os.sched_getaffinity", raising=False)  # as on macOS
    assert Network(network._program).threads == os.cpu_count()


def test_network_may_be_called_from_several_threads(network):
    batches = noise(40 * 5).numpy().reshape(40, 5, *IMAGE)
    expected = [network(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        logits = list(pool.map(network, batches))
    assert all((a == b).all() for a, b in zip(expected, logits, strict=True))


@pytest.mark.parametrize(
    "images", [np.zeros((1, 3, 9, 8), np.float32), np.zeros((1, *IMAGE)), np.zeros(IMAGE, np.uint8)]
)
def test_network_refuses_images_of_other_shape_or_dtype(network, images):
    with pytest.raises(UserError, match=r"expected uint8 \[n, 9, 7, 3\], or normalised float32"):
        network(images)


@pytest.mark.parametrize("labels", [["0", "1"], [0, 99], [-1, 0], [0.0, 1.0]])
def test_labels_that_are_no_class_numbers_are_refused(network, labels):
    with pytest.raises(UserError, match="labels: expected whole numbers from 0 to 2"):
        network.accuracy(noise(2).numpy(), np.array(labels))

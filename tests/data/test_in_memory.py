"""Batches in memory: equal to single images bit for bit, and a function of (seed, step)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from dstbench.data import augment
from dstbench.data.images import Images
from dstbench.data.in_memory import InMemoryBatches, in_order
from dstbench.data.preprocessing import Fitted
from dstbench.errors import UserError


def images(n: int, height: int = 4, width: int = 5, channels: int = 3, seed: int = 0) -> Images:
    """Random images, labelled by their index."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    return Images(pixels, np.arange(n))


def pipeline(channels: int = 3, pad: int = 2, pad_mode: str = "reflect", flip: bool = True):
    mean = tuple(0.3 + 0.07 * c for c in range(channels))
    std = tuple(0.2 + 0.03 * c for c in range(channels))
    return Fitted(pad, pad_mode, flip, mean, std)


def normalised(image: np.ndarray, p: Fitted) -> np.ndarray:
    """((byte / 255) − mean) / std in float32; (H, W, C) → (C, H, W)."""
    mean, std = (np.array(values, dtype=np.float32) for values in (p.mean, p.std))
    return ((image.astype(np.float32) / np.float32(255) - mean) / std).transpose(2, 0, 1)


def augmentations(image: np.ndarray, p: Fitted) -> dict[bytes, tuple[int, int, bool]]:
    """Every possible result of one image, in numpy: pad, crop, mirror, normalise."""
    height, width, _ = image.shape
    mode = {"reflect": "reflect", "zero": "constant"}[p.pad_mode]
    padded = np.pad(image, ((p.pad, p.pad), (p.pad, p.pad), (0, 0)), mode=mode)
    found = {}
    for y in range(2 * p.pad + 1):
        for x in range(2 * p.pad + 1):
            crop = padded[y : y + height, x : x + width]
            for mirrored in (False, True) if p.flip else (False,):
                result = normalised(crop[:, ::-1] if mirrored else crop, p)
                found[result.tobytes()] = (y, x, mirrored)
    return found


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 9),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    channels=st.integers(1, 8),
    pad=st.integers(0, 3),
    pad_mode=st.sampled_from(["reflect", "zero"]),
    flip=st.booleans(),
    batch_size=st.integers(1, 10),
    seed=st.integers(0, 2**40),
)
def test_in_memory_batches_equal_single_images_bit_for_bit(
    n, height, width, channels, pad, pad_mode, flip, batch_size, seed
):
    if pad_mode == "reflect":
        pad = min(pad, min(height, width) - 1)
    given_, p = images(n, height, width, channels), pipeline(channels, pad, pad_mode, flip)
    batches = InMemoryBatches(given_, p, batch_size, seed, "cpu")
    for step in range(2 * batches.plan.steps_per_epoch):
        x, y = batches.at(step)
        assert x.shape == (len(y), channels, height, width) and x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last) and y.dtype == torch.int64
        for image, label in zip(x, y, strict=True):
            possible = augmentations(given_.pixels[label], p)
            assert image.contiguous().numpy().tobytes() in possible


@pytest.mark.parametrize("mode", ["reflect", "zero"])
def test_in_memory_crops_equal_torchvision(mode):
    from PIL import Image
    from torchvision.transforms import functional as tv

    given_, p = images(1, 6, 6), pipeline(pad=3, pad_mode=mode, flip=False)
    kind = {"reflect": "reflect", "zero": "constant"}[mode]
    padded = tv.pad(Image.fromarray(given_.pixels[0]), 3, padding_mode=kind)
    crops = {
        tv.normalize(tv.to_tensor(tv.crop(padded, y, x, 6, 6)), p.mean, p.std).numpy().tobytes()
        for y in range(7)
        for x in range(7)
    }
    batches = InMemoryBatches(given_, p, 1, 0, "cpu")
    seen = {batches.at(step)[0][0].contiguous().numpy().tobytes() for step in range(600)}
    assert seen == crops  # each of 49 is missed with probability 4e-6


def test_in_memory_epoch_is_a_new_order_of_all_images():
    batches = InMemoryBatches(images(23), pipeline(), 5, 0, "cpu")
    assert batches.plan.steps_per_epoch == 5
    labels = [batches.at(step)[1] for step in range(15)]
    assert [len(y) for y in labels] == [5, 5, 5, 5, 3] * 3
    epochs = [torch.cat(labels[i : i + 5]).tolist() for i in (0, 5, 10)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_in_memory_batches_use_given_indices_only():
    given_ = images(20)
    chosen = np.array([3, 19, 7, 0])
    x, y = InMemoryBatches(given_, pipeline(pad=0, flip=False), 4, 1, "cpu", chosen).at(0)
    assert sorted(y.tolist()) == sorted(chosen)
    for image, label in zip(x, y, strict=True):
        assert (image.numpy() == normalised(given_.pixels[label], pipeline())).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 2**63))
def test_in_memory_batch_is_a_function_of_seed_and_step(steps, seed):
    given_ = images(11)
    in_sequence = InMemoryBatches(given_, pipeline(), 4, seed, "cpu")
    expected = [in_sequence.at(step) for step in range(41)]
    jumping = InMemoryBatches(given_, pipeline(), 4, seed, "cpu")
    for step in steps:
        x, y = jumping.at(step)
        assert torch.equal(x, expected[step][0]) and torch.equal(y, expected[step][1])
        x.zero_(), y.zero_()  # the caller may change its tensors


def test_in_memory_order_differs_by_seed_and_epoch():
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        batches = InMemoryBatches(images(30), pipeline(), 30, seed, "cpu")
        return tuple(batches.at(epoch)[1].tolist())

    assert len({order(seed, epoch) for seed in range(5) for epoch in range(5)}) == 25


def test_in_memory_batches_leave_global_rng_unchanged():
    before = torch.get_rng_state()
    InMemoryBatches(images(30), pipeline(), 30, 0, "cpu").at(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_crops_and_flips_are_uniform_and_independent():
    one = images(1, 5, 5, 1)
    count = 20_000
    same = Images(np.repeat(one.pixels, count, axis=0), np.arange(count))
    p = pipeline(1, pad_mode="zero")  # reflection would make some results alike
    x, y = InMemoryBatches(same, p, count, 0, "cpu").at(0)
    cell = augmentations(one.pixels[0], p)
    assert len(cell) == 50
    drawn = np.array([cell[image.numpy().tobytes()] for image in x.contiguous()])
    kinds = drawn @ [10, 2, 1]
    counts = np.bincount(kinds, minlength=50)
    assert abs(counts - 400).max() < 5.5 * 20  # 400 ± 20 of each: all within 5.5 deviations
    position = np.arange(count)
    for values in (*drawn.T, y.numpy()):  # no correlation with the position in the epoch
        assert abs(np.corrcoef(values, position)[0, 1]) < 5.5 / count**0.5
    assert abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 5.5 / count**0.5


class NoWaiting(TorchDispatchMode):
    """Fails on operations that would wait for the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert "_local_scalar_dense" not in func.name() and "nonzero" not in func.name(), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("flip", [True, False])
def test_in_memory_batches_do_not_wait_for_the_device(flip):
    batches = InMemoryBatches(images(10), pipeline(flip=flip), 4, 0, "cpu")
    with NoWaiting():
        for step in range(7):
            batches.at(step)
        with pytest.raises(AssertionError):
            torch.ones(1).item()


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_in_order_keeps_order_and_normalises(channels):
    given_, p = images(7, channels=channels), pipeline(channels)
    given_.pixels.flags.writeable = False  # as memory maps are
    made = list(in_order(given_, p, 3, "cpu"))
    assert [len(y) for _, y in made] == [3, 3, 1]
    assert torch.cat([y for _, y in made]).tolist() == list(range(7))
    for image, pixels in zip(torch.cat([x for x, _ in made]), given_.pixels, strict=True):
        assert (image.numpy() == normalised(pixels, p)).all()
    assert made[0][0].is_contiguous(memory_format=torch.channels_last)


def test_packing_in_chunks_gives_the_same_batch(monkeypatch):
    whole = InMemoryBatches(images(30), pipeline(), 30, 0, "cpu").at(0)[0]
    monkeypatch.setattr(augment, "CHUNK", 7)
    assert torch.equal(InMemoryBatches(images(30), pipeline(), 30, 0, "cpu").at(0)[0], whole)


def test_more_than_eight_channels_are_refused():
    with pytest.raises(UserError, match="9 channels; at most 8"):
        InMemoryBatches(images(3, channels=9), pipeline(9), 2, 0, "cpu")

"""Settings of pipelines: channel statistics are exact, unsuitable settings are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dstbench.data import preprocessing
from dstbench.data.images import Images
from dstbench.data.preprocessing import ImageNetPipeline, Pipeline, ResizedPipeline, moments
from dstbench.errors import UserError


def images(n: int, height: int, width: int, channels: int, seed: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, height, width, channels), dtype=np.uint8)
    return Images(pixels, rng.integers(0, 10, n))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 8), st.integers(0, 99), st.data())
def test_moments_equal_numpy_on_given_indices(n, size, channels, seed, data):
    given_ = images(n, size, size + 1, channels, seed)
    chosen = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True)))
    mean, std = moments(given_, chosen)
    scaled = given_.pixels[chosen].astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 1, 2)), rtol=1e-12)
    expected = scaled.std((0, 1, 2))
    expected[np.ptp(given_.pixels[chosen], axis=(0, 1, 2)) == 0] = 1  # a constant channel
    np.testing.assert_allclose(std, expected, rtol=1e-9)


def test_moments_in_chunks_are_the_same(monkeypatch):
    given_ = images(50, 3, 3, 3)
    whole = moments(given_)
    monkeypatch.setattr(preprocessing, "CHUNK", 7)
    assert moments(given_) == whole


def test_constant_channel_has_standard_deviation_one():
    given_ = images(5, 3, 3, 2)
    given_.pixels[..., 1] = 51
    mean, std = moments(given_)
    assert mean[1] == 0.2 and std[1] == 1.0 and 0 < std[0] < 1


def test_pipeline_measures_only_unset_mean_and_std():
    given_ = images(20, 4, 4, 3)
    mean, std = moments(given_)
    fitted = Pipeline(pad=2, flip=False, mean=(0.1, 0.2, 0.3)).fitted(given_)
    assert (fitted.mean, fitted.std) == ((0.1, 0.2, 0.3), std)
    assert (fitted.pad, fitted.pad_mode, fitted.flip) == (2, "reflect", False)
    fitted = Pipeline(std=[1, 2, 3], pad=0).fitted(given_)
    assert (fitted.mean, fitted.std) == (mean, (1, 2, 3))


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"pad": -1}, "pad"), ({"pad_mode": "edge"}, "pad_mode"), ({"std": (1.0, 0.0)}, "std")],
)
def test_invalid_pipeline_settings_are_refused(settings, word):
    with pytest.raises(UserError) as error:
        Pipeline(**settings)
    assert error.value.binding == f"Pipeline.{word}"


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"pad": 4}, "less than 4 to reflect images of 5×4 pixels"),
        ({"pad": 0, "mean": (0.5,)}, "3 numbers, one a channel"),
        ({"pad": 0, "std": (0.5, 1.0)}, "3 numbers, one a channel"),
    ],
)
def test_pipeline_settings_that_do_not_fit_the_images_are_refused(settings, word):
    with pytest.raises(UserError, match=word):
        Pipeline(**settings).fitted(images(5, 4, 5, 3))
    Pipeline(pad=4, pad_mode="zero").fitted(images(5, 4, 5, 3))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"size": 0}, "size"),
        ({"size": 9, "resize": 8}, "resize"),
        ({"mean": (0.5,)}, "mean"),
        ({"std": (1, 1, 0)}, "std"),
    ],
)
def test_invalid_imagenet_pipeline_settings_are_refused(settings, word):
    with pytest.raises(UserError) as error:
        ImageNetPipeline(**settings)
    assert error.value.binding == f"ImageNetPipeline.{word}"


def test_resized_pipeline_names_its_size_and_is_a_pipeline_otherwise():
    assert ResizedPipeline(size=4, pad=1).scaled_to == 4 and Pipeline().scaled_to is None
    given_ = images(5, 4, 4, 1)
    assert ResizedPipeline(size=4, pad=1).fitted(given_) == Pipeline(pad=1).fitted(given_)
    with pytest.raises(UserError) as error:
        ResizedPipeline(size=0)
    assert error.value.binding == "ResizedPipeline.size"

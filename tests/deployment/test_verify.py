"""The check that a deployed network computes the logits of the trained one."""

import numpy as np
import pytest

from dstbench.deployment.verify import check_logits, relative_error
from dstbench.errors import UserError

EXPECTED = np.array([[1.0, -2.0], [0.5, 0.0]], np.float32)


def test_relative_error_is_relative_to_the_largest_logit():
    logits = EXPECTED + np.array([[0.0, 0.02], [0.01, 0.0]], np.float32)
    assert relative_error(logits, EXPECTED) == pytest.approx(0.01)


def test_relative_error_of_logits_near_zero_is_relative_to_a_thousandth():
    assert relative_error(np.full((1, 1), 1e-6), np.zeros((1, 1))) == pytest.approx(1e-3)


def test_check_logits_returns_the_error_of_rounding():
    assert check_logits("network.dst", EXPECTED * (1 + 1e-6), EXPECTED) < 1e-5


@pytest.mark.parametrize("factor", [1.001, np.nan])
def test_check_logits_refuses_other_logits(factor):
    with pytest.raises(UserError, match=r"network\.onnx: its logits differ .* Nothing is written"):
        check_logits("network.onnx", EXPECTED * factor, EXPECTED)

"""The device of a run."""

import pytest

from dstbench.errors import UserError
from dstbench.training.device import choose_device


@pytest.mark.parametrize(
    ("name", "why"), [("mps", "no float64"), ("meta", "not trained there"), ("tpu", "tpu")]
)
def test_choose_device_refuses_devices_that_cannot_train(name, why):
    with pytest.raises(UserError, match=rf"--device {name}: .*{why}.* Use auto, cpu or cuda"):
        choose_device(name)

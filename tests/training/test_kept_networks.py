"""Networks of epochs that a run has passed are not kept, and it says so."""

from dstbench.training.kept_networks import missed_networks
from dstbench.training.settings import Run


class Kept(Run):
    def __init__(self, *epochs):
        self.kept_epochs = epochs


def test_only_passed_epochs_without_a_file_are_missed(tmp_path):
    (tmp_path / "epoch-1.pt").touch()
    assert missed_networks(Kept(1, 5), tmp_path, 4) == []
    assert missed_networks(Kept(), tmp_path, 9) == []
    (message,) = missed_networks(Kept(0, 1, 4, 5), tmp_path, 4)
    assert "epoch-0.pt, epoch-4.pt not kept" in message and "epoch-1" not in message

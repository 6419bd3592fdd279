"""Accuracies that the network of a record cannot have."""

from helpers.record_factory import make_record

from dstbench.boards.validation import inconsistencies
from dstbench.recording import predictions


def test_last_epoch_has_the_final_accuracy():
    made = make_record(protocol="paper", accuracy=90.0)
    made["accuracy"] |= {"best_epoch": 250, "test_at_best_val": 89.0}
    (problem,) = inconsistencies(made)
    assert "best_epoch is 250, the last one" in problem and "89.0" in problem
    made["accuracy"]["best_epoch"] = 249
    assert not [*inconsistencies(made)]


def test_network_without_live_paths_has_an_accuracy_of_chance():
    made = make_record(accuracy=45.0)
    made["sparsity"]["effective"] = 1.0
    made["predictions"]["test"] = predictions.encode([i % 10 for i in range(10_000)], 10)
    (problem,) = inconsistencies(made)
    assert "effective is 100 %" in problem and "45.0" in problem
    chance = make_record(accuracy=10.0)
    chance["sparsity"]["effective"] = 1.0
    assert not [*inconsistencies(chance)]

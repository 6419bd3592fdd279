"""Replications: further attempts at the runs of a leaderboard, beside its records.

A replication never replaces a record. It counts if it is recomputed itself and its accuracy is
within the noise of attempts: no two machines round alike.
"""

import math

from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.recording.types import Record

REPLICATIONS = "replications"  # folder of a leaderboard

# assumed: difference between the accuracies of two attempts at one run, in standard errors.
# Measured were three: RigL on digits, 8 epochs, fp32, 1 and 2 threads: 2.31, 0 and 0.64.
MOST_STANDARD_ERRORS = 2.4


def most_retrained(accuracy: float, images: int) -> float:
    """Return by how many percentage points two attempts at one run may differ.

    accuracy: of the first, in percent.
    images: number n of test images.

    MOST_STANDARD_ERRORS times √(2p(1 − p)/n), the standard error of the difference between the
    accuracies p of two networks on n images. p is the expected accuracy on further images after
    those seen (Laplace's rule), so that a network without an error may have one.
    """
    p = (accuracy / 100 * images + 1) / (images + 2)
    return 100 * MOST_STANDARD_ERRORS * math.sqrt(2 * p * (1 - p) / images)


def replication_problem(record: Record, again: Record) -> str | None:
    """Return why another attempt contradicts a record, or None if noise explains the difference."""
    if again["status"] != "finished" or record["status"] != "finished":
        return f"the first attempt is {record['status']}, the other {again['status']}"
    if again["provenance"]["attempt"] == record["provenance"]["attempt"]:
        return "they are one attempt"
    shown = record["accuracy"]["shown"]
    one, other = record["accuracy"][shown], again["accuracy"].get(shown)
    if one is None or other is None or again["config"]["sha256"] != record["config"]["sha256"]:
        return "they are not two attempts at one run"
    stored = record.get("predictions")
    if stored is None:
        return "the record carries no predictions"
    try:
        images = len(predictions.decode(stored["test"], stored["classes"]))
    except UserError as error:
        return f"the record's predictions cannot be read: {error.message}"
    difference, most = abs(one - other), most_retrained(one, images)
    if difference > most:
        return (
            f"accuracy.{shown} is {one:.2f}, retrained {other:.2f}: they differ by "
            f"{difference:.2f} points; {most:.2f} are taken for the noise of attempts"
        )
    return None

"""The name of a run: of its folder, and of its record on a leaderboard."""

import re


def run_name(method: str, dataset: str, model: str, sparsity: float, seed: int, sha256: str) -> str:
    """Return a readable and unique name, such as `rigl-digits-resnet20-s0.9-seed0-6ee3463d`.

    sha256: of the run's configuration, hex; the first eight digits are used.
    """
    return slug(method, dataset, model, f"s{sparsity:g}", f"seed{seed}", sha256[:8])


def slug(*words: str) -> str:
    """Join words to a file name that every file system accepts."""
    return "-".join(re.sub(r"[^a-z0-9._]+", "_", word.lower()) for word in words)

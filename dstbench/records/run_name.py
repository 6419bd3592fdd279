"""What a run's folder, and so its record on a leaderboard, is called; standard library only."""

import re


def run_name(method: str, dataset: str, model: str, sparsity: float, seed: int, sha256: str) -> str:
    """What a person looks for, then what makes it unique: `rigl-digits-resnet20-s0.9-seed0-…`.

    sha256: of the run's configuration.
    """
    return file_name(method, dataset, model, f"s{sparsity:g}", f"seed{seed}", sha256[:8])


def file_name(*words: str) -> str:
    """The words, as any file system takes them."""
    return "-".join(re.sub(r"[^a-z0-9._]+", "_", word.lower()) for word in words)

"""The number of CPU cores."""

import os


def cores() -> int:
    """Return the number of cores this process may use; all cores if unknown, as on macOS."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1

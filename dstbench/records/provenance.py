"""Where a result comes from: versions, machine, commit, command, times. Standard library only.

Nothing here fails a run: what cannot be found out is None.
"""

import os
import platform
import re
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import dstbench

_PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pillow", "pyarrow", "gin-config",
             "mlflow")  # fmt: skip
_CODE = ("dstbench", "methods", "gin")  # folders of a checkout that can change a result
_PATIENCE_S = 5  # for a command about this machine


def provenance(
    *,
    command: Sequence[str],
    device: str,
    threads: int,
    dataset_sha256: str,
    sessions: int,
    before: Mapping[str, Any],
) -> dict[str, Any]:
    """Provenance of a run that begins, or goes on.

    command: what was typed; passwords in URLs and folders of absolute paths are left out.
    device: name of the accelerator, or 'cpu'. dataset_sha256: of the decoded images.
    sessions: how many times the run was started.
    before: the provenance in its record so far, empty for a fresh start. From it come `started`
    and `attempt`, the name of this attempt at the run: starting afresh gives another one.
    """
    commit, dirty = checkout(Path(dstbench.__file__).resolve().parent.parent)
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "device": device,
        "cpu": cpu(),
        "threads": threads,
        "commit": commit,
        "dirty": dirty,
        "command": [without_folder(without_password(word)) for word in command],
        "started": before.get("started") or time.time(),
        "ended": None,
        "train_seconds": None,
        "sessions": sessions,
        "attempt": before.get("attempt") or uuid.uuid4().hex,
        "dataset_sha256": dataset_sha256,
    }


def versions() -> dict[str, str]:
    """Name → version of Python, this suite and the installed packages that decide a result."""
    found = {"python": platform.python_version(), "dstbench": dstbench.__version__}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu() -> str | None:
    """The processor's name as its maker calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return _output(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or None


def checkout(root: Path) -> tuple[str | None, bool | None]:
    """The commit of the checkout at `root`, and whether code in it differs from that commit.

    (None, None) when `root` is no checkout, such as the folder of an installed package.
    """
    if not (root / ".git").exists():
        return None, None
    status = _output(
        ["git", "--no-optional-locks", "-C", str(root), "status", "--porcelain=v2", "--branch",
         "--", *_CODE]
    )  # fmt: skip
    if status is None:
        return None, None
    lines = status.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    if commit == "(initial)":
        return None, None
    return commit, any(not line.startswith("#") for line in lines)


def without_password(text: str) -> str:
    """The text with `user:password@` in a URL replaced by `***@`."""
    return re.sub(r"://[^/@\s]*@", "://***@", text)


def without_folder(word: str) -> str:
    """An absolute path as `…/name`: where someone keeps things is no part of a published record."""
    option, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    if not value.startswith(("/", "~")):
        return word
    return f"{option}{equals}…/{Path(value).name}"


def _output(command: Sequence[str]) -> str | None:
    """What a command prints, or None if it cannot be run, fails or takes too long."""
    # A variable such as GIT_DIR, which git sets for its hooks, would answer for another checkout.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()

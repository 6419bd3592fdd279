"""Where a result comes from: versions, machine, commit, command, times. Standard library only.

Collecting provenance never fails a run: a value that cannot be determined is None.
"""

import json
import os
import platform
import re
import subprocess
import time
import uuid
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import dstbench
from dstbench.recording.types import Provenance
from dstbench.utils.passwords import without_password
from dstbench.utils.printable import printable

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
    "pillow",
    "pyarrow",
    "gin-config",
    "mlflow",
)
_CODE = ("dstbench", "methods", "gin")  # folders of a checkout that can change a result
COMMIT_FILE = "_commit.json"  # in an installed package: what it was built from
_TIMEOUT_S = 5  # of a command that describes this machine


def collect_provenance(
    *,
    command: Sequence[str],
    device: str,
    threads: int,
    dataset_sha256: str,
    sessions: int,
    before: Provenance | None,
) -> Provenance:
    """Return the provenance of a run that starts or resumes.

    command: the command line; passwords in URLs and folders of absolute paths are removed.
    device: name of the accelerator, or "cpu".
    threads: CPU threads of torch.
    dataset_sha256: of the decoded images, hex.
    sessions: how many times the run was started, this one included.
    before: the provenance in the run's record so far; None for a fresh start. `started` and
        `attempt` are taken from it; a fresh start gets a new `attempt`.
    """
    commit, dirty = package_version()
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "device": device,
        "cpu": cpu(),
        "threads": threads,
        "commit": commit,
        "dirty": dirty,
        "command": [printable(without_folder(without_password(word))) for word in command],
        "started": (before and before.get("started")) or time.time(),
        "ended": None,
        "train_seconds": None,
        "sessions": sessions,
        "attempt": (before and before.get("attempt")) or uuid.uuid4().hex,
        "dataset_sha256": dataset_sha256,
    }


def versions() -> dict[str, str]:
    """Return name → version of Python, dstbench and the packages that influence a result."""
    found = {"python": platform.python_version(), "dstbench": dstbench.__version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu() -> str | None:
    """Return the vendor's name of the processor."""
    try:
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        ):
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return _output(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or None


def package_version() -> tuple[str | None, bool | None]:
    """Return (commit, whether the code differs from it) of this package."""
    return code_version(Path(dstbench.__file__).resolve().parent)


def code_version(package: Path) -> tuple[str | None, bool | None]:
    """Return (commit, whether the code differs from it) of the package in a folder.

    From its git checkout, else from the file that its build left there; (None, None) without both.
    """
    commit, dirty = checkout(package.parent)
    if commit is not None:
        return commit, dirty
    try:
        built = json.loads((package / COMMIT_FILE).read_text(encoding="utf-8"))
        return built["commit"], built["dirty"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def checkout(root: Path) -> tuple[str | None, bool | None]:
    """Return (commit, whether the code differs from it) of the git checkout at `root`.

    (None, None) when `root` is not a checkout, such as the folder of an installed package.
    """
    if not (root / ".git").exists():
        return None, None
    status = _output(
        [
            *("git", "--no-optional-locks", "-C", str(root)),
            *("status", "--porcelain=v2", "--branch", "--", *_CODE),
        ]
    )
    if status is None:
        return None, None
    lines = status.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), None)
    if commit == "(initial)":
        return None, None
    return commit, any(not line.startswith("#") for line in lines)


_ABSOLUTE = re.compile(r"""(^|[='"\[,]|sqlite:///)(?:~[^/'",]*)?/(?:[^'",\]]*/)?([^/'",\]]+)/*""")


def without_folder(word: str) -> str:
    """Shorten absolute paths to `…/name`: private folders do not belong in a published record.

    word: of a command line; a path is the whole word, the value of an option or a binding, or the
        file of an SQLite store.
    """
    return _ABSOLUTE.sub(r"\1…/\2", word)


def _output(command: Sequence[str]) -> str | None:
    """Return the output of a command, or None if it is missing, fails or takes too long."""
    # git sets variables such as GIT_DIR for its hooks; they would select another checkout.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()

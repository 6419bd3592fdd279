"""What a run is, apart from its seed; and where its result comes from."""

import re
from collections.abc import Mapping

from dstbench.recording.types import Provenance, Record

_SEED = re.compile(r"^Run\.seed = .*\n?", re.MULTILINE)
_EPOCHS = re.compile(r"^Run\.epochs = (\d+)$", re.MULTILINE)


def epochs_of(text: str) -> int | None:
    """Return the epochs of a run's resolved gin text; None where it has none."""
    found = _EPOCHS.search(text)
    return int(found[1]) if found else None


def configuration(text: str, plugins: Mapping[str, str]) -> str:
    """Return the gin text without the seed's line, with a line for the hash of every plugin.

    plugins: label → sha256.
    """
    lines = (f"plugin {name} = {sha256}\n" for name, sha256 in sorted(plugins.items()))
    return _SEED.sub("", text) + "".join(lines)


def configuration_of(record: Record) -> str:
    """Return the configuration of a recorded run."""
    return configuration(record["config"]["text"], record["provenance"].get("plugins") or {})


def origin_of(provenance: Provenance) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of all that may differ between seeds and change their last digits.

    These are the commit, the device, the engine, the versions, and the packages that provide
    plugins. The engine is native if it computed any step; records that name none are of torch.
    """
    engine = "native" if (provenance.get("engine_steps") or {}).get("native") else "torch"
    origin = {
        "commit": provenance["commit"],
        "device": provenance["device"],
        "engine": engine,
    }
    origin |= dict(provenance.get("versions") or {})
    for name, package in (provenance.get("packages") or {}).items():
        origin[f"plugin {name}"] = f"{package['version']} {package['sha256']}"
    return tuple(sorted((name, str(value)) for name, value in origin.items()))

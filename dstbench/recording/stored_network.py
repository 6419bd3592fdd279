"""The finished network that a record carries: inside the record, or as a file beside it.

The content is a file of `core.sparse_weights` (safetensors); nothing in it is executed. Standard
library only.
"""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from dstbench.errors import UserError
from dstbench.recording.types import StoredNetwork

INLINE_BYTES = 64 * 1024  # a larger network is a file of its own


def stored_network(content: bytes, name: str) -> StoredNetwork:
    """Return what a record says of a network.

    content: the file's bytes.
    name: of the file beside the record, for a network that is too large for the record itself.
    """
    stored: StoredNetwork = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    if len(content) <= INLINE_BYTES:
        return stored | {"data": base64.b64encode(content).decode()}
    return stored | {"file": name}


def read_network(stored: StoredNetwork, paths: Iterable[Path]) -> bytes:
    """Return the bytes of the network that a record carries.

    stored: from the record.
    paths: where its file may be, in order; unused for a network inside the record.

    Raises UserError when: it is missing or unreadable, or its size or hash is not the record's.
    """
    if not isinstance(stored, dict) or not {"sha256", "bytes"} <= stored.keys():
        raise UserError("the network lacks its sha256 or its number of bytes.")
    content = _content(stored, list(paths))
    if len(content) != stored["bytes"]:
        raise UserError(
            f"the network has {len(content):,} bytes; its record has {stored['bytes']}."
        )
    if (found := hashlib.sha256(content).hexdigest()) != stored["sha256"]:
        raise UserError(
            f"the network's sha256 is {found[:12]}…; its record has {str(stored['sha256'])[:12]}…."
        )
    return content


def _content(stored: StoredNetwork, paths: list[Path]) -> bytes:
    if "data" in stored:
        try:
            return base64.b64decode(stored["data"], validate=True)
        except (TypeError, ValueError) as error:
            raise UserError(f"the network in the record is not base64: {error}.") from None
    for path in paths:
        try:
            if path.stat().st_size != stored["bytes"]:  # before a huge file is read
                raise UserError(
                    f"{path} has {path.stat().st_size:,} bytes; its record has {stored['bytes']}."
                )
            return path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    raise UserError(f"the network's file is missing: {' or '.join(map(str, paths)) or 'no path'}.")

"""Bytes of safetensors files: their header, a checksum in it, and one order. Standard library only.

Such a file is eight bytes, little endian, the length of a JSON header; the header (name → dtype,
shape and byte range of each tensor, and strings under `__metadata__`); the bytes of the tensors.
"""

import hashlib
import json
from typing import Any

from .json_text import parse_json

LENGTH_BYTES = 8
CHECKSUM = "sha256"  # metadata: of the header without it, as JSON with sorted keys, and the bytes


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the bytes after it. Raises ValueError for bytes of another format."""
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if not 2 <= length <= len(content) - LENGTH_BYTES:
        raise ValueError("is not a safetensors file, or is cut off")
    header = parse_json(content[LENGTH_BYTES : LENGTH_BYTES + length])
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError("has no header of a safetensors file")
    return header, content[LENGTH_BYTES + length :]


def signed(content: bytes) -> bytes:
    """Return the file with its checksum, and with its metadata sorted.

    The safetensors library writes metadata in random order; so the same tensors give the same file.
    """
    header, body = split(content)
    metadata = header.get("__metadata__", {}) | {CHECKSUM: checksum(header, body)}
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-len(text) % 8 + len(text))  # the tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(LENGTH_BYTES, "little") + text + body


def checksum(header: dict[str, Any], body: bytes) -> str:
    """Return the checksum of a file; one that its header has already does not count."""
    metadata = {k: v for k, v in header.get("__metadata__", {}).items() if k != CHECKSUM}
    text = json.dumps(header | {"__metadata__": metadata}, sort_keys=True).encode()
    return hashlib.sha256(text + body).hexdigest()

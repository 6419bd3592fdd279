"""Files of networks with one or several wrong numbers, and a right checksum."""

import hashlib
import json
import random

import numpy as np

DTYPES = {"U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "I32": np.int32, "F32": np.float32}
NUMBERS = (0, 1, 2, 3, 7, 8, 127, 255, 256, 2**15, 2**15 + 1, 65535, 2**31 - 1, 2**31, 2**32 - 1)
FLOATS = (0.0, -0.0, np.nan, np.inf, -np.inf, 3e38, -3.4e38, 1e-40)
JSON_VALUES = (
    *(None, True, -1, 0, 1, 2, 3, 9, 2**15, 2**31, 10**30, 10**4000, 0.5, 1e-320, float("inf")),
    *("3", "x" * 9999, "\x1b[31m\n", "\ud800", [], [1], {}, [3, 9], [[[[[[[[0]]]]]]]], ["a"] * 999),
)


def split(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors and the metadata of a file."""
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = np.frombuffer(body[first:last], DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"]).copy()
    return tensors, metadata


def joined(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return a file of tensors and metadata, with its checksum."""
    header, body = {}, b""
    names = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor).tobytes()
        places = [len(body), len(body) + len(data)]
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": places,
        }
        body += data
    metadata = {k: v for k, v in metadata.items() if k != "sha256"}
    signed = json.dumps(header | {"__metadata__": metadata}, sort_keys=True).encode() + body
    header["__metadata__"] = metadata | {"sha256": hashlib.sha256(signed).hexdigest()}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def mutated(content: bytes, seed: int) -> bytes:
    """Return the file with one to three changes that a seed chooses."""
    rng = random.Random(seed)
    tensors, metadata = split(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice((_number, _number, _number, _number, _length, _dtype, _swap, _text))
        change(rng, tensors, metadata)
    return joined(tensors, metadata)


def _number(rng, tensors, metadata) -> None:
    name = rng.choice(sorted(tensors))
    flat = tensors[name].reshape(-1)
    if not len(flat):
        return
    at = rng.randrange(len(flat))
    if flat.dtype == np.float32:
        flat[at] = rng.choice(FLOATS)
        return
    value = rng.choice((*NUMBERS, int(flat[at]) + rng.choice((-2, -1, 1, 2)), -rng.choice(NUMBERS)))
    limits = np.iinfo(flat.dtype)
    if not limits.min <= value <= limits.max:  # then in a dtype that holds it
        wide = np.int32 if value < 0 else np.uint32
        if np.iinfo(wide).min <= value <= np.iinfo(wide).max:
            tensors[name] = tensors[name].astype(wide)
            flat = tensors[name].reshape(-1)
    flat[at] = np.array(value).astype(flat.dtype)


def _length(rng, tensors, metadata) -> None:
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    tensors[name] = rng.choice(
        (
            tensor[:-1],
            tensor[1:],
            np.concatenate([tensor, tensor[:1]]),
            tensor.reshape(-1),
            tensor[None],
            tensor[:0],
        )
    )


def _dtype(rng, tensors, metadata) -> None:
    name = rng.choice(sorted(tensors))
    with np.errstate(invalid="ignore"):
        tensors[name] = tensors[name].astype(rng.choice(list(DTYPES.values())))


def _swap(rng, tensors, metadata) -> None:
    one, other = rng.sample(sorted(tensors), 2)
    if rng.random() < 0.3:
        tensors[one], tensors[other] = tensors[other], tensors[one]
        return
    flat = tensors[one].reshape(-1)
    if len(flat) > 1:
        a, b = rng.sample(range(len(flat)), 2)
        flat[[a, b]] = flat[[b, a]]


def _text(rng, tensors, metadata) -> None:
    name = rng.choice(("program", "about"))
    content = json.loads(metadata[name])
    if not isinstance(content, dict):
        return
    key = rng.choice(sorted(content))
    value = content[key]
    if isinstance(value, list) and value and rng.random() < 0.7:
        value[rng.randrange(len(value))] = rng.choice(JSON_VALUES)
    else:
        content[key] = rng.choice(JSON_VALUES)
    metadata[name] = json.dumps(content)

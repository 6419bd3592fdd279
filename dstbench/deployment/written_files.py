"""The files of a deployment in their folder."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from dstbench.deployment.model_card import model_card
from dstbench.deployment.runtime.program import About
from dstbench.errors import UserError
from dstbench.recording.types import Record
from dstbench.utils.files import write_atomic
from dstbench.utils.printable import utf8

CONTENTS = {  # of every file that a deployment may have, besides the model card
    "network.dst": "the compiled network, for `dstbench.deployment.load`",
    "weights.safetensors": "the live weights (COO; see its metadata) and every other trained "
    "tensor",
    "network.onnx": "a dense network of the channels that matter: `images`, normalised float32 "
    "(n, C, H, W) → `logits`",
    "network.h": "the interface of the network in C: `dst_infer_bytes(image, logits)`",
    "network.c": "the network as C99 in float32, with its tables; it needs no library",
    "network_int8.c": "the same with pixels and weights of 8 bits, instead of `network.c`",
    "network.html": "the network as a web page that runs it and draws it, without other files",
}


def write_files(
    record: Record,
    about: About,
    contents: Mapping[str, bytes],
    out: Path,
    rows: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, int]:
    """Write the contents and a model card to `out`; return name → bytes.

    Files of an earlier deployment that this one does not write are removed.

    record: of the run.
    about: description of the network.
    contents: name → content; every name is in CONTENTS.
    out: folder.
    rows: further rows of the card, name → value.

    Raises UserError: when the folder cannot be made, or has a README.md of something else.
    """
    if (out / "README.md").exists() and not any((out / name).exists() for name in CONTENTS):
        raise UserError(
            f"{out}: has a README.md and no deployed network; it would be overwritten. Choose "
            "another --out."
        )
    descriptions = {name: CONTENTS[name] for name in contents}
    card = model_card(record, about, descriptions, rows)
    contents = {**contents, "README.md": utf8(card)}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be made ({error.strerror}). Choose another --out."
        ) from None
    for name in CONTENTS.keys() - contents.keys():  # of an earlier deployment: another network's
        (out / name).unlink(missing_ok=True)
    for name, content in contents.items():
        write_atomic(out / name, content)
    return {name: len(content) for name, content in contents.items()}

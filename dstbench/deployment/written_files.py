"""The files of a deployment in their folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dstbench.deployment.model_card import model_card
from dstbench.deployment.runtime.program import About
from dstbench.errors import UserError
from dstbench.recording.types import Record
from dstbench.utils.files import write_atomic
from dstbench.utils.printable import utf8

_CARD = "\n| configuration | sha256 "  # a row of every model card

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


@dataclass(frozen=True)
class Written:
    """What was written.

    files: name → bytes.
    removed: names of an earlier deployment's files that are gone.
    """

    files: dict[str, int]
    removed: tuple[str, ...]


def write_files(
    record: Record,
    about: About,
    contents: Mapping[str, bytes],
    out: Path,
    rows: Mapping[str, str] = MappingProxyType({}),
) -> Written:
    """Write the contents and a model card to `out`.

    Files of an earlier deployment that this one does not write are removed: a folder holds one
    deployment, and its card is of all files.

    record: of the run.
    about: description of the network.
    contents: name → content; every name is in CONTENTS.
    out: folder.
    rows: further rows of the card, name → value.

    Raises UserError: when the folder cannot be made, or has a file that no deployment wrote and
        that has the name of one that is written or removed.
    """
    found = [name for name in CONTENTS if (out / name).exists()]
    _refuse_others_files(out, found)
    removed = tuple(name for name in found if name not in contents)
    card = model_card(record, about, {name: CONTENTS[name] for name in contents}, rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be made ({error.strerror}). Choose another --out."
        ) from None
    for name in removed:
        (out / name).unlink(missing_ok=True)
    contents = {**contents, "README.md": utf8(card)}
    for name in reversed(contents):  # the card first: should this be stopped, it knows the others
        write_atomic(out / name, contents[name])
    return Written({name: len(content) for name, content in contents.items()}, removed)


def _refuse_others_files(out: Path, found: Sequence[str]) -> None:
    """Raise UserError for a README.md that is no model card, and for files that it does not list.

    found: names of CONTENTS that the folder has.
    """
    readme = out / "README.md"
    card = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    is_card = _CARD in card
    strange = [name for name in found if not (is_card and f"- `{name}`: " in card)]
    if readme.exists() and not is_card:
        strange.insert(0, readme.name)
    if strange:
        raise UserError(
            f"{out}: has {', '.join(strange)}, which no deployment wrote. Nothing is written, so "
            "that nothing is lost: choose another --out."
        )

"""The files of a deployment in their folder."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from dstbench.deployment.model_card import model_card
from dstbench.deployment.runtime.program import About
from dstbench.errors import UserError
from dstbench.recording.types import Record
from dstbench.utils.files import write_atomic
from dstbench.utils.printable import utf8

_IDENTITY = ("| configuration |", "| test accuracy |", "| commit |")  # rows of a model card

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
    removed: names of files of another network's deployment that are gone.
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

    Further files of an earlier deployment stay if they are of the same network, and the card lists
    them; those of another network are removed.

    record: of the run.
    about: description of the network.
    contents: name → content; every name is in CONTENTS.
    out: folder.
    rows: further rows of the card, name → value.

    Raises UserError: when the folder cannot be made, or has a file that no deployment wrote and
        that has the name of one that is written or removed.
    """
    found = [name for name in CONTENTS if (out / name).exists()]
    earlier = _earlier_card(out)
    _refuse_others_files(out, found, earlier)
    card = model_card(record, about, _described({*contents, *found}), rows)
    removed: tuple[str, ...] = ()
    if _network_of(earlier) != _network_of(card):
        removed = tuple(name for name in found if name not in contents)
        card = model_card(record, about, _described(contents), rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{out}: cannot be made ({error.strerror}). Choose another --out."
        ) from None
    for name in removed:
        (out / name).unlink(missing_ok=True)
    contents = {**contents, "README.md": utf8(card)}
    for name, content in contents.items():
        write_atomic(out / name, content)
    return Written({name: len(content) for name, content in contents.items()}, removed)


def _described(names: Container[str]) -> dict[str, str]:
    return {name: text for name, text in CONTENTS.items() if name in names}


def _earlier_card(out: Path) -> str:
    """Return the text of a folder's README.md, as far as it can be read; "" without one."""
    try:
        return (out / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _network_of(card: str) -> list[str]:
    """Return the rows of a model card that identify the network; none for another text."""
    return [line for line in card.splitlines() if line.startswith(_IDENTITY)]


def _refuse_others_files(out: Path, found: Sequence[str], card: str) -> None:
    """Raise UserError for a README.md that is no model card, and for files that it does not list.

    found: names of CONTENTS that the folder has.
    """
    strange = [name for name in found if f"- `{name}`: " not in card or not _network_of(card)]
    if (out / "README.md").exists() and not _network_of(card):
        strange.insert(0, "README.md")
    if strange:
        raise UserError(
            f"{out}: has {', '.join(strange)}, which no deployment wrote. Nothing is written, so "
            "that nothing is lost: choose another --out."
        )

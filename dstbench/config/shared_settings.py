"""The part of a configuration that runs of different methods must share to be compared.

A resolved gin text lists every parameter of every class that the run reaches. What is reached from
Run.method alone is the method's own; all else (epochs, batch size, rates, optimizer, data,
pipeline, model) is shared.
"""

import re

_LINE = re.compile(r"^(\S+)\.(\w+) = (.*)$", re.MULTILINE)
_REFERENCE = re.compile(r"@([\w./]+)")
_NAMES = {"method", "seed"}  # parameters of Run that are not shared


def shared_settings(text: str) -> frozenset[str]:
    """Return the lines of a resolved gin text that are not the method's own.

    text: of one run; lines that are not bindings are left out.
    """
    lines: dict[str, list[tuple[str, str]]] = {}
    for target, parameter, value in _LINE.findall(text):
        lines.setdefault(target, []).append((parameter, value))
    found: set[str] = set()
    reached: set[str] = set()
    pending = ["Run"]
    while pending:
        target = pending.pop()
        if target in reached:
            continue
        reached.add(target)
        scope = target.rpartition("/")[0]
        for parameter, value in lines.get(target, ()):
            if target == "Run" and parameter in _NAMES:
                continue
            found.add(f"{target}.{parameter} = {value}")
            unquoted = re.sub(r"'(?:[^'\\]|\\.)*'", "", value)
            for name in _REFERENCE.findall(unquoted):
                pending.append(name if "/" in name or not scope else f"{scope}/{name}")
    return frozenset(found)


def comparable_lines(text: str, images: str | None) -> frozenset[str]:
    """Return the shared settings of a run, and a line for its images.

    text: resolved gin text.
    images: sha256 of the images; empty or None where it is not known.
    """
    return shared_settings(text) | {f"images = {images}"}


def differing(groups: list[frozenset[str]]) -> list[str]:
    """Return for each group of lines those that not all groups have, as text; empty for none."""
    common = frozenset.intersection(*groups) if groups else frozenset()
    return [", ".join(sorted(line.removeprefix("Run.") for line in g - common)) for g in groups]

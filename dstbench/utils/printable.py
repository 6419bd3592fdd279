"""Text that every file, terminal and store takes, whatever bytes a person typed.

Names of files and arguments are bytes to the system. Python keeps those that are not text in the
locale's encoding as lone surrogates, which find the file again but which UTF-8 cannot encode.
"""

import re

_LONGEST = 4000  # characters of a message
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that stand for no byte


def printable(text: str) -> str:
    """Return the text with every byte that is not UTF-8 written as \\xNN.

    Bytes that are UTF-8 become the characters that they mean, in a locale without UTF-8 too. A
    surrogate that stands for no byte becomes ?.
    """
    if text.isascii():
        return text
    known = _NO_BYTE.sub("?", text)
    return known.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def utf8(text: str) -> bytes:
    """Return the bytes of a text file: UTF-8, see `printable`."""
    return printable(text).encode("utf-8")


def harmless(text: str) -> str:
    """Return a message for a terminal: control characters written out, the middle of it left out
    where it is endless, such as one that quotes a value of 5,000 digits.
    """
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in text)

"""Passwords in addresses: every text that is written or shown passes through `without_password`."""

import re

_USER_INFO = re.compile(r"://(?:\S*|[^\s/@:]+:[^@\n]*)@")  # the password may hold @, / and spaces
_PARAMETER = re.compile(
    r"(?i)((?:password|passwd|passphrase|pwd|token|secret|access_?key|api_?key)(?:=|%3D))"
    r"(?:\{[^}\n]*\}|%7B.*?%7D|[^&\s])+"
)


def without_password(text: str) -> str:
    """Replace the passwords of addresses in a text by ***.

    These are what stands before the last `@` of an address, and the values of parameters such as
    `password=` and ODBC's `PWD=`, percent-encoded or not. Where an address does not tell where a
    password ends, more is replaced than the password.
    """
    return _USER_INFO.sub("://***@", _PARAMETER.sub(r"\1***", text))

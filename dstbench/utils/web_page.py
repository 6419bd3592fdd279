"""Web pages of one file: templates that escape every value, and inline style and script.

A page's Content-Security-Policy names what is inline by hash, so that a browser runs nothing else.
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Inline:
    """A style or script inside a page.

    content: its text, which is not escaped.
    policy: its source expression in a Content-Security-Policy.
    """

    content: Markup
    policy: str


def inline(package: str, *names: str) -> Inline:
    """Return files of a package, joined, as one style or script."""
    content = "\n".join(files(package).joinpath(name).read_text(encoding="utf-8") for name in names)
    digest = hashlib.sha256(content.encode()).digest()
    return Inline(Markup(content), f"sha256-{base64.b64encode(digest).decode()}")


def templates(package: str, folder: str) -> Environment:
    """Return the templates in a package's folder. A name without a value is an error."""
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )

"""Why a compiler failed, in one line."""

import sys

import pytest

from dstbench.deployment.c_export.toolchain import Compiler

GCC = """network.c: In function 'main':
network.c:3:1: error: expected ';' before '}' token
    3 | }
network.c:9:1: error: unknown type name 'x'
"""


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("pass", None),
        ("raise FileNotFoundError('zig')", "FileNotFoundError: zig"),
        (f"exit({GCC!r})", "network.c:3:1: error: expected ';' before '}' token"),
        ("exit('collect2: no linker')", "collect2: no linker"),
        ("exit(3)", "exit code 3"),
    ],
)
def test_complaint_is_the_first_error(tmp_path, program, complaint):
    compiler = Compiler("any", (sys.executable, "-c", program))
    assert compiler.complaint(["network.c"], tmp_path) == complaint

"""The child process that follows its parent until its standard input ends."""

import subprocess
import sys


def followed(follow, stdin=b""):
    """Run `follow_until_eof` in a child process. follow: an expression for the function."""
    code = (
        "import time; from dstbench.tracking import child_process\n"
        "child_process._LINGER_S = 0.1\n"
        f"child_process.follow_until_eof({follow}, lambda line: print(line), 'too late')"
    )
    return subprocess.run(
        [sys.executable, "-c", code], input=stdin, capture_output=True, timeout=60
    )


def test_follow_until_eof_exits_with_the_result():
    assert followed("lambda ended: ended.wait()").returncode == 0
    assert followed("lambda ended: not ended.wait()").returncode == 1


def test_follow_until_eof_receives_the_lines_of_stdin():
    done = followed("lambda ended: ended.wait()", b"one\ntwo\n")
    assert done.stdout.splitlines() == [rb"b'one\n'", rb"b'two\n'"]


def test_follow_until_eof_exits_after_the_time_limit():
    done = followed("lambda ended: time.sleep(100)")
    assert done.returncode == 1 and done.stdout == b"too late\n"

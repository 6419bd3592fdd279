"""The text of an unexpected error, for a message in one line."""

import traceback


def error_with_line(error: Exception) -> str:
    """Return an error's type, message and the line that raised it.

    The line is the last one outside torch and outside the file that caught the error.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/torch/" not in f.filename and f.filename != frames[0].filename]
    line = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {text}{line}."

"""Gives gin's global state back: the bindings of a run are there while it is used, and no longer.

Gin keeps its bindings in the process. A notebook may have bindings of its own, and may use several
runs in turn.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import gin
from gin import config

_TURN = threading.RLock()


@contextmanager
def isolated() -> Iterator[None]:
    """Leave gin's bindings as they were; other threads that call this wait."""
    with _TURN:
        locked = gin.config_is_locked()
        bindings = {key: dict(values) for key, values in config._CONFIG.items()}
        operative = {key: dict(values) for key, values in config._OPERATIVE_CONFIG.items()}
        singletons, imports = dict(config._SINGLETONS), set(config._IMPORTS)
        gin.clear_config()
        try:
            yield
        finally:
            gin.clear_config()
            config._CONFIG.update(bindings)
            config._OPERATIVE_CONFIG.update(operative)
            config._SINGLETONS.update(singletons)
            config._IMPORTS.update(imports)
            config._set_config_is_locked(locked)

"""A network's C, compiled for this machine and called from Python."""

import ctypes
import tempfile
from pathlib import Path

import numpy as np

from dstbench.deployment.c_export.assemble import SOURCE, CSource
from dstbench.deployment.c_export.toolchain import Compiler
from dstbench.errors import UserError


class SharedLibrary:
    """A network as a function of images. Use as a context; its files are temporary.

    source: of the network.
    compiler: for this machine.
    defines: macros of the preprocessor.

    Raises UserError: when the compiler refuses the source, or the system the library.
    """

    def __init__(self, source: CSource, compiler: Compiler, defines: tuple[str, ...] = ()):
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        source.write_to(folder)
        options = ["-std=c99", "-O2", "-shared", "-fPIC", *(f"-D{name}" for name in defines)]
        complaint = compiler.complaint([*options, SOURCE, "-o", "network.so"], folder)
        if complaint is not None:
            raise UserError(f"{compiler.name} does not compile the network's C: {complaint}")
        try:
            self.library = ctypes.CDLL(str(folder / "network.so"))
        except OSError as error:  # such as a temporary folder that is mounted noexec
            reason = str(error).replace(f"{folder}/", "")
            raise UserError(
                f"the compiled network cannot be loaded ({reason}). Set TMPDIR to a folder whose "
                "programs may be run."
            ) from None

    def __enter__(self) -> "SharedLibrary":
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def logits(self, images: np.ndarray, classes: int) -> np.ndarray:
        """Return the logits of images, float32 (n, classes).

        images: uint8 (n, height, width, channels); or float32 (n, channels, height, width),
            normalised.
        """
        call = self.library.dst_infer_bytes if images.dtype == np.uint8 else self.library.dst_infer
        images = np.ascontiguousarray(images)
        logits = np.zeros((len(images), classes), np.float32)
        for image, out in zip(images, logits, strict=True):
            call(ctypes.c_void_p(image.ctypes.data), ctypes.c_void_p(out.ctypes.data))
        return logits

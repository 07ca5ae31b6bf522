"""Versions of the libraries that a model's figures depend on."""

import contextlib
import importlib.metadata
import platform

_LIBRARIES = ("keras", "msgspec", "numpy", "onnx", "onnxruntime", "scikit-learn", "scipy", "tf2onnx")
_TENSORFLOW = ("tensorflow", "tensorflow-cpu")
"""One of these is installed."""


def library_versions() -> dict[str, str]:
    """Distribution -> version of those installed, and of Python."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    for name in _TENSORFLOW:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found | {"python": platform.python_version()}

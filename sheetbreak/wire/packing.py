"""Packing of numbers: the bytes of floats apart by how well they compress."""

from typing import Any

import numpy as np
import numpy.typing as npt


def split_bytes(values: npt.NDArray[np.floating], kept: int) -> tuple[bytes, bytes]:
    """Of each little-endian value's upper `kept` bytes: all but the uppermost, and the uppermost."""
    octets = values.view(np.uint8).reshape(len(values), -1)
    return octets[:, -kept:-1].tobytes(), octets[:, -1].tobytes()


def join_bytes(below: bytes, tops: bytes, kind: str) -> npt.NDArray[Any]:
    """The values of which `split_bytes` made these."""
    octets = np.zeros((len(tops), np.dtype(kind).itemsize), np.uint8)
    rest = np.frombuffer(below, np.uint8).reshape(len(tops), -1)
    octets[:, -rest.shape[1] - 1 : -1] = rest
    octets[:, -1] = np.frombuffer(tops, np.uint8)
    return octets.view(kind).reshape(-1)

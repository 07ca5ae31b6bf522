"""Ports that are free, and stay so until the program they are for has come up."""

import socket
import sys

_held: list[socket.socket] = []


def free_port() -> int:
    """One on loopback that nobody else is given before this process ends, and on which nothing listens.

    A port that is asked for and let go may be another test's a moment later. This one stays bound to a socket that does
    not listen: connecting to it is refused, and a server that sets SO_REUSEADDR, as ours, Java's and Go's do, may
    listen on it. Only Linux lets it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port: int = held.getsockname()[1]
    if sys.platform == "linux":
        _held.append(held)
    else:
        held.close()
    return port

"""Ports of the loopback interface for servers that are about to be started.

A port that nobody listens on may be somebody's by the time its server starts: an outgoing connection's,
or that of another process that looked at the same moment. So ports come from below those that systems
give to outgoing connections (Linux: 32768 and up; RFC 6335: 49152 and up), and a process claims those it
is given for as long as it lives, by a lock on one byte for each in a file that all of a user's share.
"""

import fcntl
import os
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

PORTS: Final = range(20_000, 32_768)
"""What is given out."""


class NoFreePorts(Exception):
    """So many neighbouring ports are not free."""


_given: set[int] = set()


def free_ports(count: int) -> range:
    """Neighbouring ports that nobody listens on and that nobody else is given while this process lives.

    Raises `NoFreePorts`.
    """
    claims, start = _claims(), os.getpid() * 64
    for step in range(0, len(PORTS), count):
        offset = (start + step) % len(PORTS)
        ports = PORTS[offset : offset + count]
        if len(ports) == count and _claim(claims, ports):
            return ports
    raise NoFreePorts(f"{count} neighbouring ports are not free")


@cache
def _claims() -> int:
    """The descriptor of the file of claims. It stays open: closing it would end all claims of this process."""
    path = Path(tempfile.gettempdir(), f"corridor-ports-{os.getuid()}")
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)


def _claim(claims: int, ports: range) -> bool:
    """Claim all of these or none; a lock of this process would be given to it again."""
    if not _given.isdisjoint(ports):
        return False
    try:
        fcntl.lockf(claims, fcntl.LOCK_EX | fcntl.LOCK_NB, len(ports), ports[0])
    except OSError:
        return False
    if not all(map(_is_free, ports)):
        fcntl.lockf(claims, fcntl.LOCK_UN, len(ports), ports[0])
        return False
    _given.update(ports)
    return True


def _is_free(port: int) -> bool:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True

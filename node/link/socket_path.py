"""Where the sockets between the node's processes live."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

SOCKET_PATH_BYTES_MAX = 100
"""Bytes of a unix socket's path that every system takes (sun_path is 104 to 108)."""


def socket_path(directory: Path, name: str = "core") -> Path:
    """Where a socket of the node with this data directory lives: the core's, or another by its name.

    In the directory, or, where that path is too long for a unix socket, in the user's runtime directory under a name
    derived from it. Raises `PermissionError` where that directory is not this user's alone: whoever can write there
    could pass for the core.
    """
    path = directory.resolve() / f"{name}.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return _runtime_directory() / f"corridor-{digest}-{name}.sock"


def listen_privately(path: Path, waiting_max: int) -> socket.socket:
    """A listening socket at a path, open to this user alone; what an earlier process left there goes."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_umask = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(old_umask)
    listener.listen(waiting_max)
    return listener


def _runtime_directory() -> Path:
    """A directory of this user alone: the session's, or one made in the system's temporary directory."""
    session = os.environ.get("XDG_RUNTIME_DIR")
    if session:
        directory = Path(session)
    else:
        directory = Path(tempfile.gettempdir()) / f"corridor-{os.getuid()}"
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
    found = directory.lstat()
    is_ours = found.st_uid == os.getuid() and not found.st_mode & 0o077
    if not (stat.S_ISDIR(found.st_mode) and is_ours):
        raise PermissionError(f"{directory} must be a directory of this user alone (mode 0700)")
    return directory

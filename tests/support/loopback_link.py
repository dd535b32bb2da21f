"""A TCP link over loopback that a test can cut and mend: what comes to its port goes to another, and back."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final

CHUNK_BYTES: Final = 1 << 16


class Link:
    """Forwards every connection to one port; a cut link ends those there are and takes no other."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self) -> None:
        """Ends all connections and refuses more."""
        with self._lock:
            self._is_cut = True
            ends = list(self._ends)
        for end in ends:
            _end(end)

    def mend(self) -> None:
        """Takes connections again."""
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        """Ends it for good."""
        self.cut()
        _end(self._listener)
        self._listener.close()
        self._accepting.join(10)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._join, args=(caller,), daemon=True).start()

    def _join(self, caller: socket.socket) -> None:
        """Connects a caller with whom it calls, until either ends."""
        with caller, contextlib.suppress(OSError):
            target = socket.create_connection(("127.0.0.1", self._target_port), 5)
            with target:
                target.settimeout(None)
                with self._lock:
                    if self._is_cut:
                        return
                    self._ends |= {caller, target}
                back = threading.Thread(target=_forward, args=(target, caller), daemon=True)
                back.start()
                _forward(caller, target)
                back.join()
                with self._lock:
                    self._ends -= {caller, target}


def _forward(source: socket.socket, sink: socket.socket) -> None:
    """Carries bytes one way until either end is closed, then ends both."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            sink.sendall(chunk)
    _end(source)
    _end(sink)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

"""Why a process of the node ends, and that it does."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node.errors import InvariantBroken
from node.telemetry import get_logger

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_BROKEN: Final = 4
EXIT_PEER_LOST: Final = 5


@dataclass(slots=True)
class Shutdown:
    """Why a process should end; the first reason stands."""

    exit_code: int = EXIT_OK
    reason: str = ""
    requested: threading.Event = field(default_factory=threading.Event)

    def request(self, *, exit_code: int, reason: str) -> None:
        """Asks the main thread to end the process."""
        if not self.requested.is_set():
            self.exit_code, self.reason = exit_code, reason
            self.requested.set()

    def on_fault(self, error: InvariantBroken) -> None:
        """Asks for the end because of a broken invariant, in its own words."""
        self.request(exit_code=EXIT_BROKEN, reason=str(error))
        get_logger().error("invariant_broken", error=type(error).__name__, fault=str(error))

    def obey(self, signals: socket.socket) -> None:
        """Asks for the end at the first signal whose number is read."""
        self.request(exit_code=EXIT_OK, reason=signal.Signals(signals.recv(1)[0]).name)


def guard(run: Callable[[], None], shutdown: Shutdown) -> None:
    """Runs the work of a thread the node cannot be without; however it fails, the process is asked to end."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - outermost loop of its thread: the process must end
        is_broken = isinstance(error, InvariantBroken)
        name = threading.current_thread().name
        shutdown.request(
            exit_code=EXIT_BROKEN if is_broken else EXIT_FAILED, reason=f"{name} failed: {error}"
        )
        get_logger().exception("thread_failed", thread=name)


def obey_signals(shutdown: Shutdown) -> None:
    """Ends the process on SIGTERM and SIGINT; called from its main thread.

    The system may give a signal to any thread, and Python runs a handler only when the main thread wakes, which waits
    for ever when another was interrupted. The number is therefore written to a socket by the thread that has it, before
    any Python runs, and read by a thread that does nothing else.
    """
    noted, noting = socket.socketpair()
    noting.settimeout(0)
    signal.set_wakeup_fd(noting.detach(), warn_on_full_buffer=False)
    threading.Thread(target=shutdown.obey, args=(noted,), name="signals", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # only a signal with a handler is written

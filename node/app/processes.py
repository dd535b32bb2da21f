"""The RPC processes that a core starts: as many as the settings say, each kept running by itself.

Settings go to a process on its standard input and the listening socket as an inherited descriptor, so that nothing of
either stands on a command line or in an environment, and all serve one port.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

from node.app.keeper import Keeper
from node.app.listener import listen
from node.app.rpc import Inheritance
from node.app.shutdown import Shutdown, guard
from node.config import Settings

COMMAND: Final = (sys.executable, "-m", "node", "rpc", "--inherited")


@contextlib.contextmanager
def rpc_processes(settings: Settings, shutdown: Shutdown) -> Iterator[None]:
    """RPC processes, for as long as the context lasts; one that ends is started again. Raises `PortBusy`."""
    listener = listen(settings.host, settings.port)
    descriptor = listener.fileno()
    keepers = [
        Keeper(
            COMMAND,
            shutdown,
            standard_input=Inheritance(settings, f"rpc-{number}", descriptor, os.getpid()).encode(),
            descriptors=(descriptor,),
        )
        for number in range(1, settings.rpc_processes + 1)
    ]
    threads = [
        threading.Thread(target=guard, args=(keeper.keep, shutdown), name="keep-rpc")
        for keeper in keepers
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        # Nobody new is let into the line; those at hand are finished, in all processes at the same time.
        listener.close()
        stopping = [threading.Thread(target=keeper.stop) for keeper in keepers]
        for thread in stopping:
            thread.start()
        for thread in (*stopping, *threads):
            thread.join()

"""How the C library keeps this process's memory: what was freed is used again, or given back.

glibc gives threads that allocate at the same time an arena each, up to eight for every processor, and
what was freed in one is of no use in another; and it gives a page back to the system only when nothing
above it is in use. So a process with many threads grows for days by what lies idle. Two arenas are
enough here, as Python lets one thread run at a time, and their idle pages are given back now and then.
"""

import ctypes
import os
import threading
from typing import Final

ARENAS_MAX: Final = 2

VARIABLE: Final = "MALLOC_ARENA_MAX"

TRIM_SECONDS: Final = 60
"""How often idle pages are given back; it takes some milliseconds."""

_M_ARENA_MAX: Final = -8
"""The parameter's number in glibc's malloc.h."""


def bound_arenas() -> None:
    """Have at most `ARENAS_MAX` arenas, to be called before any thread is started.

    Nothing happens where the C library is another, or where whoever runs the process has set
    MALLOC_ARENA_MAX.
    """
    if VARIABLE in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS_MAX)


def keep_trimmed(stop: threading.Event, seconds: float = TRIM_SECONDS) -> None:
    """Give idle pages back to the system until `stop` is set; glibc alone has to be asked for it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while not stop.wait(seconds):
        if trim is not None:
            trim(ctypes.c_size_t(0))

"""How the C library keeps this process's memory: what many threads free is used again.

glibc gives threads that allocate at the same time an arena each, up to eight for every processor, and
what was freed in one is of no use in another: over days a process with many threads grows by what lies
idle. Two arenas are enough here, as Python lets one thread run at a time.
"""

import ctypes
import os
from typing import Final

ARENAS_MAX: Final = 2

VARIABLE: Final = "MALLOC_ARENA_MAX"

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

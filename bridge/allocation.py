"""How a process that works for days keeps its memory.

Python's collector of cyclic garbage holds up every thread while it looks at each object there is. Most
objects of a bridge are its code and what that was put together to, which stay for good: some hundred
milliseconds each time, for nothing. So it waits until a process has been put together, and then leaves
what is there out for ever.

glibc gives threads that allocate at the same time an arena each, up to eight for every processor, and
what was freed in one is of no use in another: over days a process with many threads grows by what lies
idle. Two arenas are enough here, as Python lets one thread run at a time.
"""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def loading() -> Iterator[None]:
    """Have no cyclic garbage collected before `settle_in`, or the end of the context."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle_in() -> None:
    """To be called once all is built: it is there to stay, so no collection looks at it again."""
    gc.collect()
    gc.freeze()
    gc.enable()

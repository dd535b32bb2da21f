"""The C library keeps few arenas, however many threads allocate."""

import os
import platform
import subprocess
import sys

import pytest

from bridge.allocation import ARENAS_MAX, VARIABLE

THREADS = 6

COUNT_ARENAS = f"""
import ctypes, threading
from bridge.allocation import bound_arenas

bound_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fdopen.restype = ctypes.c_void_p
together = threading.Barrier({THREADS})

def allocate():
    libc.malloc(ctypes.c_size_t(4_000))
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(
    ("given", "arenas"), [({}, ARENAS_MAX), ({VARIABLE: "4"}, 4)], ids=["bounded", "told"]
)
def test_threads_share_arenas(given: dict[str, str], arenas: int) -> None:
    environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
    told = subprocess.run(
        [sys.executable, "-c", COUNT_ARENAS],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert told.count("<heap nr=") == arenas

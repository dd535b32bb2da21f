"""Few arenas, however many threads allocate; what is loaded is never looked at again."""

import os
import platform
import subprocess
import sys

import pytest

from bridge.allocation import ARENAS_MAX, VARIABLE

THREADS = 6

LOAD = """
import gc
from bridge.allocation import settle_in, loading

class Cycle:
    def __init__(self):
        self.itself = self

def collections():
    return sum(each["collections"] for each in gc.get_stats())

loaded = Cycle()
with loading():
    before = collections()
    kept = [Cycle() for _ in range(10_000)]
    print("while it loads", collections() - before)
    settle_in()
    print("is looked at", any(each is loaded for each in gc.get_objects()))
    before = collections()
    kept += [Cycle() for _ in range(10_000)]
    print("afterwards", collections() - before > 0)
"""

NEVER_LOADED = """
import gc
from bridge.allocation import loading

try:
    with loading():
        raise OSError
except OSError:
    print("collects", gc.isenabled())
"""

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


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (LOAD, "while it loads 0\nis looked at False\nafterwards True\n"),
        (NEVER_LOADED, "collects True\n"),
    ],
    ids=["loaded", "failed"],
)
def test_garbage_is_collected_once_a_process_is_loaded(script: str, told: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert ran == told

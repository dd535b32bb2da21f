"""The C library keeps few arenas, however many threads allocate, and gives idle pages back."""

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


IDLE_PAGES = """
import ctypes, sys, threading, time
from bridge.allocation import keep_trimmed

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p

def anonymous_kilobytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

blocks = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t(8_000))) for _ in range(5_000)]
for block in blocks:
    ctypes.memset(block, 1, 8_000)
full = anonymous_kilobytes()
for block in blocks[:-1]:  # the last keeps what is below it from being given back by itself
    libc.free(block)
stop = threading.Event()
if "trim" in sys.argv:
    threading.Thread(target=keep_trimmed, args=(stop, 0.05)).start()
deadline = time.monotonic() + 20
while anonymous_kilobytes() > full - 30_000 and "trim" in sys.argv and time.monotonic() < deadline:
    time.sleep(0.05)
stop.set()
print(full - anonymous_kilobytes())
"""


needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)


@needs_glibc
@pytest.mark.parametrize("is_trimmed", [False, True])
def test_idle_pages_are_given_back(is_trimmed: bool) -> None:
    arguments = ["trim"] if is_trimmed else []
    told = subprocess.run(
        [sys.executable, "-c", IDLE_PAGES, *arguments], capture_output=True, text=True, check=True
    ).stdout
    assert (int(told) > 30_000) == is_trimmed


@needs_glibc
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

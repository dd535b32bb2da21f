"""The machine under the figures: what it is, how busy it was, and how fast some known things ran in the same run."""

import hashlib
import os
import platform
import random
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

LOOP_ROUNDS: Final = 2_000_000
SYNC_ROUNDS: Final = 200
MEMORY_CELLS: Final = 1 << 21
"""Eight megabytes: more than the caches that a processor has for itself."""
MEMORY_ROUNDS: Final = 1_000_000
TURNS: Final = 20_000
LIBRARIES: Final = ("py-evm", "lmdb", "coincurve", "safe-pysha3", "uvicorn")


def describe() -> dict[str, Any]:  # a JSON object
    """What the machine and the software are."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "python": sys.version.split()[0],
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def load_average() -> float:
    """Processes that wanted to run in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def probe(directory: Path) -> dict[str, float]:
    """The reference, each per second: rounds of a fixed Python loop, steps from place to place through
    memory, turns that two threads give one another, and synchronised writes.
    """
    return {
        "python_loops_per_second": round(_loops_per_second()),
        "memory_steps_per_second": round(_steps_per_second()),
        "thread_turns_per_second": round(_turns_per_second()),
        "synchronised_writes_per_second": round(_writes_per_second(directory)),
    }


@contextmanager
def on_one_processor(pid: int) -> Iterator[None]:
    """Hold every thread of a process, and each that it starts, to one processor, as guides advise for a bridge.

    A Python process runs one thread at a time; which processor that is on the system decides, unless
    somebody does. Where a system has no such thing, nothing is held.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(pid)
    _hold(pid, {max(allowed)})
    try:
        yield
    finally:
        _hold(pid, allowed)


def _hold(pid: int, processors: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), processors)
        except ProcessLookupError:
            continue  # that thread has ended


def _loops_per_second() -> float:
    digest, started_at = b"", time.process_time()
    for number in range(LOOP_ROUNDS):
        if number % 1_000 == 0:
            digest = hashlib.sha256(digest).digest()
    return LOOP_ROUNDS / (time.process_time() - started_at)


def _steps_per_second() -> float:
    """Each step needs what the one before found, so none can be fetched ahead."""
    places = list(range(MEMORY_CELLS))
    random.Random(1).shuffle(places)  # noqa: S311 - nothing is to be secret
    following = array("I", bytes(4 * MEMORY_CELLS))
    for place, then in zip(places, places[1:] + places[:1], strict=True):
        following[place] = then
    place, started_at = 0, time.process_time()
    for _ in range(MEMORY_ROUNDS):
        place = following[place]
    return MEMORY_ROUNDS / (time.process_time() - started_at)


def _turns_per_second() -> float:
    mine, other = threading.Semaphore(1), threading.Semaphore(0)

    def take_turns(own: threading.Semaphore, next_one: threading.Semaphore) -> None:
        for _ in range(TURNS // 2):
            own.acquire()
            next_one.release()

    threads = [
        threading.Thread(target=take_turns, args=pair) for pair in ((mine, other), (other, mine))
    ]
    started_at = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return TURNS / (time.perf_counter() - started_at)


def _writes_per_second(directory: Path) -> float:
    with tempfile.TemporaryFile(dir=directory) as file:
        started_at = time.perf_counter()
        for _ in range(SYNC_ROUNDS):
            file.write(bytes(4_096))
            file.flush()
            os.fsync(file.fileno())
        return SYNC_ROUNDS / (time.perf_counter() - started_at)

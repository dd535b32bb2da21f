"""A PostgreSQL server for one measurement, from the binaries that the system has; on a Unix socket alone."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bridge.config import PostgresUrl

USER: Final = "corridor"
DATABASE: Final = "bank"
PROGRAM_SECONDS_MAX: Final = 60


@contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresUrl | None]:
    """Where an empty database is, with its files in `folder`; None where there can be no server."""
    initdb = shutil.which("initdb")
    as_user = _as_user()
    if initdb is None or as_user is None:
        yield None
        return
    binaries = Path(initdb).resolve().parent
    folder.mkdir(parents=True)
    for parent in (folder.parent, folder):
        parent.chmod(0o711)  # the server is somebody else where this process is root
    if as_user:
        shutil.chown(folder, as_user[2])
    data = folder / "data"
    with tempfile.TemporaryDirectory(prefix="pg") as socket:
        if as_user:
            shutil.chown(socket, as_user[2])

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [*as_user, str(binaries / program), *arguments],
                cwd="/",
                check=True,
                capture_output=True,
                timeout=PROGRAM_SECONDS_MAX,
            )

        run("initdb", "-D", str(data), "-U", USER, "-E", "UTF8", "--locale=C", "-A", "trust")
        options = f"-k {socket} -c listen_addresses=''"
        log = str(folder / "log")
        run("pg_ctl", "start", "-w", "-s", "-D", str(data), "-l", log, "-o", options)
        try:
            run("createdb", "-h", socket, "-U", USER, DATABASE)
            yield PostgresUrl(f"postgresql://{USER}@/{DATABASE}?host={socket}")
        finally:
            run("pg_ctl", "stop", "-w", "-s", "-D", str(data), "-m", "fast")


def _as_user() -> tuple[str, ...] | None:
    """How to run as somebody the server accepts: it refuses root. None where that cannot be."""
    if os.geteuid() != 0:
        return ()
    runuser = shutil.which("runuser")
    known = subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode == 0
    return (runuser, "-u", "postgres", "--") if runuser and known else None

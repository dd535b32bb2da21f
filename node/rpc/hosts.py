"""Whose name a request was sent to, and whose page sent it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from urllib.parse import urlsplit

LOCAL_NAME = "localhost"


class HostNames:
    """The names under which this node is asked: addresses, "localhost" and the host it was told to listen on."""

    def __init__(self, host: str) -> None:
        self._names = {LOCAL_NAME, host.lower()}

    def is_own(self, host: bytes) -> bool:
        """Whether a `Host` header is none that somebody else resolves to this machine's address."""
        name = re.sub(r":[0-9]*$", "", host.decode("latin-1")).lower()
        if name in self._names:
            return True
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(name.strip("[]"))
            return True
        return False


def is_same_origin(origin: bytes, host: bytes) -> bool:
    """Whether an `Origin` header is that of a page which this very address served.

    Programs send no such header; browsers always do, and let any page open a WebSocket to any host.
    """
    return urlsplit(origin.decode("latin-1")).netloc.lower() == host.decode("latin-1").lower()

"""The socket on which the engine of consensus asks: a thread for each of its connections.

Answers leave in the order of the questions and, as the engine expects, in one piece at its next flush. A question that
raises is answered as an exception: the engine ends, and the node, being of no use without it and perhaps wrong, ends as
well (`on_fault`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, cast

from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.face import Conversation, Face
from node.consensus.cometbft.framing import read_request, write_response
from node.errors import EngineMessageInvalid, NodeError
from node.link import listen_privately
from node.telemetry import get_logger

CONNECTIONS_WAITING_MAX: Final = 8
BUFFER_BYTES: Final = 1 << 20


class Server:
    """Serves the engine's connections."""

    def __init__(self, path: Path, face: Face, on_fault: Callable[[BaseException], None]) -> None:
        """Listens at once; the socket is open to this user alone."""
        self._face = face
        self._on_fault = on_fault
        self._path = path
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._is_closed = False
        self._listener = listen_privately(path, CONNECTIONS_WAITING_MAX)

    def start(self) -> None:
        """Begins to serve, in the background."""
        threading.Thread(target=self._accept, name="abci-accept", daemon=True).start()

    def close(self) -> None:
        """Ends every connection; to be called when the engine has ended."""
        with self._lock:
            self._is_closed = True
            connections = list(self._connections)
        for connection in (self._listener, *connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                self._connections.add(connection)
            threading.Thread(
                target=self._serve, args=(connection,), name="abci", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rwb", buffering=BUFFER_BYTES) as stream:
                self._converse(self._face.open(), cast(BinaryIO, stream))
        except OSError:
            pass  # the engine has ended; its supervisor sees to that
        except EngineMessageInvalid as fault:
            self._take_fault(fault)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _converse(self, conversation: Conversation, stream: BinaryIO) -> None:
        """Answers until the connection ends, or a question meets a fault, of which engine and node are told."""
        while (request := read_request(stream)) is not None:
            try:
                response = conversation.answer(request)
            except BaseException as fault:  # noqa: BLE001 - outermost loop of its thread
                self._take_fault(fault)
                told = str(fault) if isinstance(fault, NodeError) else "internal error"
                write_response(stream, abci.Response(exception=abci.ExceptionResponse(error=told)))
                stream.flush()
                return
            write_response(stream, response)
            if request.HasField("flush"):
                stream.flush()

    def _take_fault(self, fault: BaseException) -> None:
        if isinstance(fault, EngineMessageInvalid):
            get_logger().error("engine_message_invalid", reason=fault.reason)
        else:
            get_logger().error("engine_question_failed", exc_info=fault)
        self._on_fault(fault)

"""The sealed channel between bridges: who can read, who can forge, and what a refusal says."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from bridge.chain import Directory
from bridge.errors import (
    EnvelopeInvalid,
    EnvelopeMisdirected,
    EnvelopeSignatureInvalid,
    MessageTooLarge,
    ParticipantUnknown,
    PeerAnswerInvalid,
    PeerMisconfigured,
    PeerRefused,
    PeerUnavailable,
    Rejected,
)
from bridge.interbank import PEER_SECONDS_MAX, SEALED_BYTES_MAX, Interbank, Kind, Received
from bridge.interbank import channel as channel_module
from bridge.worker import LEASE_SECONDS
from support.participants import BANK_A, BANK_B, PROVIDER, directory_of, make_institutions

INSTITUTIONS = make_institutions(BANK_A, BANK_B, PROVIDER)
BODY = {"document": "<Document/>", "salt": "00"}
NETWORK = b"\x11" * 32
QUOTES = "/v1/interbank/quotes"


def channel(
    lei: str,
    *,
    directory: Directory | None = None,
    http: httpx.Client | None = None,
    network: bytes = NETWORK,
) -> Interbank:
    known = directory or directory_of(INSTITUTIONS)
    return Interbank(
        lei, INSTITUTIONS[lei].keys, lambda: known, http or httpx.Client(trust_env=False), network
    )


def answering(status: int, body: bytes = b"", **headers: str) -> httpx.Client:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers=headers)

    return httpx.Client(transport=httpx.MockTransport(answer))


def test_a_sealed_message_is_opened_by_its_receiver() -> None:
    sealed = channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    assert channel(BANK_B).open(sealed) == Received(BANK_A, Kind.CREDIT_TRANSFER, BODY)


def test_a_sealed_message_shows_nothing_of_its_content_or_its_sender() -> None:
    sealed = channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    assert b"Document" not in sealed
    assert BANK_A.encode() not in sealed


def test_nobody_else_can_open_it() -> None:
    sealed = channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    with pytest.raises(EnvelopeInvalid):
        channel(PROVIDER).open(sealed)


@pytest.mark.parametrize("position", range(0, 1_000, 37))
def test_a_changed_byte_is_found(position: int) -> None:
    sealed = bytearray(channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY))
    sealed[position % len(sealed)] ^= 1
    with pytest.raises(Rejected):
        channel(BANK_B).open(bytes(sealed))


def test_a_message_signed_by_another_key_than_the_registers_is_refused() -> None:
    rotated = replace(INSTITUTIONS[BANK_A].participant, signing_key=bytes(range(32)))
    others = [INSTITUTIONS[lei].participant for lei in (BANK_B, PROVIDER)]
    sealed = channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    with pytest.raises(EnvelopeSignatureInvalid):
        channel(BANK_B, directory=Directory([rotated, *others])).open(sealed)


def test_a_message_of_a_suspended_participant_is_refused() -> None:
    suspended = replace(INSTITUTIONS[BANK_A].participant, is_admitted=False)
    sealed = channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    receiver = channel(BANK_B, directory=Directory([suspended]))
    with pytest.raises(ParticipantUnknown):
        receiver.open(sealed)


def test_a_message_of_an_unknown_sender_is_refused() -> None:
    sealed = channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    receiver = channel(BANK_B, directory=Directory([INSTITUTIONS[BANK_B].participant]))
    with pytest.raises(ParticipantUnknown):
        receiver.open(sealed)


def test_a_message_that_was_meant_for_another_cannot_be_passed_on() -> None:
    """B re-seals to the provider what A signed for B: the signed body names its receiver."""
    swapped = replace(
        INSTITUTIONS[BANK_B].participant,
        sealing_key=INSTITUTIONS[PROVIDER].participant.sealing_key,
    )
    others = [INSTITUTIONS[lei].participant for lei in (BANK_A, PROVIDER)]
    sealed = channel(BANK_A, directory=Directory([swapped, *others])).seal(
        BANK_B, Kind.CREDIT_TRANSFER, BODY
    )
    with pytest.raises(EnvelopeMisdirected):
        channel(PROVIDER).open(sealed)


@pytest.mark.parametrize("junk", [b"", b"junk", b"a.b.c.d.e", b"\xff" * 100, b"." * 4])
def test_junk_is_refused_by_name(junk: bytes) -> None:
    with pytest.raises(EnvelopeInvalid):
        channel(BANK_B).open(junk)


def test_a_huge_message_is_refused_before_it_is_opened() -> None:
    with pytest.raises(MessageTooLarge):
        channel(BANK_B).open(b"x" * (SEALED_BYTES_MAX + 1))


def test_a_message_too_large_to_be_read_is_not_sent() -> None:
    with pytest.raises(MessageTooLarge):
        channel(BANK_A).seal(BANK_B, Kind.CREDIT_TRANSFER, {"document": "x" * SEALED_BYTES_MAX})


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503])
def test_an_answer_that_may_change_is_a_peer_unavailable(status: int) -> None:
    with pytest.raises(PeerUnavailable):
        channel(BANK_A, http=answering(status)).send(BANK_B, Kind.CREDIT_TRANSFER, BODY)


def test_a_final_refusal_carries_the_peers_code() -> None:
    http = answering(422, b'{"code": "commitment_mismatch"}')
    with pytest.raises(PeerRefused) as refusal:
        channel(BANK_A, http=http).send(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    assert refusal.value.problem == "commitment_mismatch"


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"code": 7}'])
def test_a_refusal_without_a_code_is_named_by_its_status(body: bytes) -> None:
    with pytest.raises(PeerRefused) as refusal:
        channel(BANK_A, http=answering(400, body)).send(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    assert refusal.value.problem == "http_400"


def test_a_peer_that_is_not_there_is_unavailable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    http = httpx.Client(transport=httpx.MockTransport(refuse))
    with pytest.raises(PeerUnavailable):
        channel(BANK_A, http=http).send(BANK_B, Kind.CREDIT_TRANSFER, BODY)


def test_a_message_of_another_network_is_refused() -> None:
    """The same keys on a test network: what was signed there is worth nothing here."""
    sealed = channel(BANK_A, network=b"\x22" * 32).seal(BANK_B, Kind.CREDIT_TRANSFER, BODY)
    with pytest.raises(EnvelopeInvalid):
        channel(BANK_B).open(sealed)


def asked_of(provider: Callable[[Received], bytes]) -> Received:
    """What bank A makes of the answer to a quote request."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=provider(channel(PROVIDER).open(request.content)))

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return channel(BANK_A, http=http).ask(PROVIDER, QUOTES, Kind.QUOTE_REQUEST, {})


def test_an_answer_is_of_its_kind_and_bound_to_its_question() -> None:
    answer = asked_of(lambda question: channel(PROVIDER).answer(question, {"quote": "{}"}))
    assert (answer.sender_lei, answer.kind, answer.body) == (PROVIDER, Kind.QUOTE, {"quote": "{}"})


@pytest.mark.parametrize(
    "provider",
    [
        lambda question: channel(BANK_B).answer(question, {}),
        lambda _: channel(PROVIDER).seal(BANK_A, Kind.QUOTE, {}),
        lambda question: channel(PROVIDER).answer(replace(question, digest=b"\x01" * 32), {}),
        lambda question: channel(PROVIDER).answer(
            replace(question, kind=Kind.ISSUANCE_REQUEST), {}
        ),
        lambda question: channel(PROVIDER).answer(replace(question, sender_lei=BANK_B), {}),
        lambda _: b"junk",
    ],
    ids=["of another", "unasked", "to an earlier question", "another kind", "to another", "junk"],
)
def test_what_is_not_the_answer_to_this_question_is_not_taken(
    provider: Callable[[Received], bytes],
) -> None:
    with pytest.raises(PeerAnswerInvalid):
        asked_of(provider)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31)])
def test_a_peer_whose_sealing_key_is_none_is_a_peer_that_cannot_be_reached(key: bytes) -> None:
    """Whoever registers a point of low order must not stop the banks that write to him."""
    poisoned = replace(INSTITUTIONS[BANK_B].participant, sealing_key=key)
    sender = channel(BANK_A, directory=Directory([poisoned]))
    with pytest.raises(PeerMisconfigured):
        sender.send(BANK_B, Kind.CREDIT_TRANSFER, BODY)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://[::1/v1",
        "http://127.0.0.1:99999",
        "http://a..b",
        "http://bank\x00",
        "http://ba nk",
        "127.0.0.1:80",
        "http:///v1",
        "file:///etc/hosts",
    ],
)
def test_a_peer_whose_endpoint_is_none_is_a_peer_that_cannot_be_reached(endpoint: str) -> None:
    poisoned = replace(INSTITUTIONS[BANK_B].participant, endpoint=endpoint)
    sender = channel(BANK_A, directory=Directory([poisoned]))
    with pytest.raises((PeerMisconfigured, PeerUnavailable)):
        sender.send(BANK_B, Kind.CREDIT_TRANSFER, BODY)


class Peer:
    """A peer that answers one request, byte by byte as a test says."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._script = script
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            self._script(connection)

    def is_sent_to(self) -> None:
        """Bank A's delivery to this peer."""
        endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        known = Directory([replace(INSTITUTIONS[BANK_B].participant, endpoint=endpoint)])
        try:
            channel(BANK_A, directory=known).send(BANK_B, Kind.CREDIT_TRANSFER, BODY)
        finally:
            self._listener.close()
            self._thread.join(5)


def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = b"HTTP/1.1 202 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    with pytest.raises(PeerAnswerInvalid):
        Peer(lambda connection: connection.sendall(head + bomb)).is_sent_to()


@pytest.mark.parametrize("status", [202, 422])
def test_no_more_of_an_answer_is_read_than_a_message_may_have(status: int) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 %d X\r\ncontent-length: 1000000000\r\n\r\n" % status)
        while True:
            connection.sendall(bytes(65_536))

    with pytest.raises(PeerAnswerInvalid):
        Peer(pour).is_sent_to()


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 202 OK\r\ncontent-length: 100000\r\n\r\n", b"HTTP/1.1 202 OK\r\nx: "],
    ids=["body", "head"],
)
def test_a_peer_that_drips_is_left_after_a_time_in_all(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(100):
            time.sleep(0.05)
            connection.sendall(b"x")

    monkeypatch.setattr(channel_module, "PEER_SECONDS_MAX", 0.3)
    began = time.monotonic()
    with pytest.raises(PeerUnavailable):
        Peer(drip).is_sent_to()
    assert time.monotonic() - began < 2


def test_a_worker_holds_its_lease_for_longer_than_a_peer_may_take() -> None:
    assert 2 * PEER_SECONDS_MAX < LEASE_SECONDS

"""The sealed channel between bridges: who can read, who can forge, and what a refusal says."""

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
    PeerRefused,
    PeerUnavailable,
    Rejected,
)
from bridge.interbank import SEALED_BYTES_MAX, Interbank, Kind, Received
from support.participants import BANK_A, BANK_B, PROVIDER, directory_of, make_institutions

INSTITUTIONS = make_institutions(BANK_A, BANK_B, PROVIDER)
BODY = {"document": "<Document/>", "salt": "00"}


def channel(
    lei: str,
    *,
    directory: Directory | None = None,
    http: httpx.Client | None = None,
) -> Interbank:
    known = directory or directory_of(INSTITUTIONS)
    return Interbank(lei, INSTITUTIONS[lei].keys, lambda: known, http or httpx.Client())


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


def test_a_message_signed_by_another_key_than_the_registrys_is_refused() -> None:
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


def test_an_answer_sealed_by_another_than_the_one_asked_is_refused() -> None:
    answer = channel(BANK_B).seal(BANK_A, Kind.QUOTE, {"quote": "{}"})
    with pytest.raises(EnvelopeSignatureInvalid):
        channel(BANK_A, http=answering(200, answer)).ask(
            PROVIDER, "/v1/interbank/quotes", Kind.QUOTE_REQUEST, {}
        )

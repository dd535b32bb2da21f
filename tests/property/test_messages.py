"""Properties of messages: what is written is read back alike, and reading never fails unnamed."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import Rejected
from bridge.iso20022.codes import MessageName, StatusReason
from bridge.iso20022.commitment import canonical_content, commit, commit_reason
from bridge.iso20022.format import format_credit_transfer, format_initiation, format_message
from bridge.iso20022.messages import (
    CreditTransfer,
    CustomerCreditTransferInitiation,
    InstructionStamp,
    restamp,
)
from bridge.iso20022.parse import (
    parse_credit_transfer,
    parse_initiation,
    parse_message,
)
from support.every_message import STRATEGY_BY_NAME
from support.messages import (
    DAY,
    EXAMPLE_PATH,
    credit_transfers,
    initiations,
    references,
    uetrs,
)

SALT = bytes(32)
EXAMPLE = EXAMPLE_PATH.read_bytes()


@pytest.mark.parametrize("name", MessageName)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.data())
def test_msg_3_a_message_is_read_back_as_it_was_written(
    name: MessageName, drawn: st.DataObject
) -> None:
    message = drawn.draw(STRATEGY_BY_NAME[name])
    assert parse_message(format_message(message)) == message


@settings(max_examples=40)
@given(credit_transfers())
def test_a_commitment_survives_writing_and_reading(transfer: CreditTransfer) -> None:
    again = parse_credit_transfer(format_credit_transfer(transfer))
    assert canonical_content(again) == canonical_content(transfer)


@settings(max_examples=40)
@given(credit_transfers(), references())
def test_a_commitment_does_not_depend_on_one_sending(
    transfer: CreditTransfer, message_id: str
) -> None:
    sent_again = replace(
        transfer, message_id=message_id, created_at=datetime(2027, 1, 1, tzinfo=UTC)
    )
    assert commit(canonical_content(sent_again), SALT) == commit(canonical_content(transfer), SALT)


@settings(max_examples=40)
@given(credit_transfers(), credit_transfers())
def test_different_payments_have_different_content(
    left: CreditTransfer, right: CreditTransfer
) -> None:
    right = replace(right, message_id=left.message_id, created_at=left.created_at)
    assert (canonical_content(left) == canonical_content(right)) == (left == right)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(StatusReason))
def test_a_reason_never_commits_like_a_message(salt: bytes, reason: StatusReason) -> None:
    assert commit_reason(reason, None, salt) != commit(b'{"reason":"%s"}' % reason.encode(), salt)


@settings(max_examples=40)
@given(initiations(), st.data())
def test_a_restamped_initiation_can_be_sent_and_asks_for_the_same(
    initiation: CustomerCreditTransferInitiation, data: st.DataObject
) -> None:
    count = len(initiation.instructions)
    ends = data.draw(st.lists(references(), min_size=count, max_size=count, unique=True))
    stamps = tuple(InstructionStamp(end, data.draw(uetrs)) for end in ends)
    fresh = restamp(
        initiation,
        message_id="FRESH",
        created_at=datetime(2027, 1, 1, tzinfo=UTC),
        requested_execution_date=DAY,
        stamps=stamps,
    )
    assert parse_initiation(format_initiation(fresh)) == fresh
    for old, new in zip(initiation.instructions, fresh.instructions, strict=True):
        assert new.instructed_amount == old.instructed_amount
        assert new.creditor_account == old.creditor_account


def understood(data: bytes) -> bool:
    """Return whether the bytes are a message; anything but a named refusal passes through."""
    try:
        parse_message(data)
    except Rejected:
        return False
    return True


@given(st.binary(max_size=300))
def test_reading_arbitrary_bytes_ends_in_a_named_refusal(data: bytes) -> None:
    assert not understood(data)


@given(st.integers(0, len(EXAMPLE) - 1), st.integers(0, 12), st.binary(max_size=8))
def test_reading_a_damaged_message_gives_a_message_or_a_named_refusal(
    start: int, lost: int, patch: bytes
) -> None:
    damaged = EXAMPLE[:start] + patch + EXAMPLE[start + lost :]
    assert understood(damaged) or damaged != EXAMPLE

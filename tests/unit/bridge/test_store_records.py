"""What the bank keeps of its business: each repository's promises."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.errors import (
    ChainDiscontinuous,
    ChainNotFollowed,
    InboxConflict,
    RecordConflict,
    RecordMissing,
    StatementRefused,
    UnexpectedIssuance,
)
from bridge.iso20022.identifiers import parse_country
from bridge.iso20022.messages import PostalAddress
from bridge.issuance import Issuance, IssuanceState, advance
from bridge.store import (
    AccountScheme,
    Checkpoint,
    Customer,
    CustomerAccount,
    CustomerAccountStatus,
    EventRow,
    InboxMessage,
    MessageDirection,
    QuoteState,
    Remembered,
    Store,
    StoredMessage,
    TransactionState,
    UnitOfWork,
)
from bridge.store.gathering import settle
from support.bridge_records import (
    ALPHA_LEI,
    BETA_LEI,
    DEPOSIT,
    EUR,
    NOW,
    euros,
    open_store_at,
    outgoing,
    signed_quote,
)
from support.databases import Databases

SENDER = b"\x11" * 20


@pytest.fixture
def work(databases: Databases) -> Iterator[UnitOfWork]:
    store: Store = open_store_at(databases.place())
    with store.unit_of_work() as opened:
        yield opened
    store.close()


# Idempotency


def test_an_answer_is_remembered_per_client_and_key(work: UnitOfWork) -> None:
    """STO-6."""
    answer = Remembered(fingerprint=b"\x01" * 32, status=201, body='{"id": "pay_1"}')
    work.idempotency.remember("alice", "key", answer)
    assert work.idempotency.find("alice", "key") == answer
    assert work.idempotency.find("bob", "key") is None
    assert work.idempotency.find("alice", "other") is None


def test_an_answer_once_given_is_never_replaced(work: UnitOfWork) -> None:
    """STO-6."""
    answer = Remembered(fingerprint=b"\x01" * 32, status=201, body="{}")
    work.idempotency.remember("alice", "key", answer)

    def remember_another() -> None:
        work.idempotency.remember("alice", "key", replace(answer, status=422))
        settle(work.connection)

    with pytest.raises(RecordConflict):
        remember_another()


# Transactions


def test_nonces_go_on_from_what_was_signed_or_from_what_the_chain_has_seen(
    work: UnitOfWork,
) -> None:
    """CHN-3."""
    assert work.transactions.next_nonce(SENDER, chain_nonce=4) == 4
    work.transactions.add(outgoing(4))
    assert work.transactions.next_nonce(SENDER, chain_nonce=4) == 5
    assert work.transactions.next_nonce(SENDER, chain_nonce=9) == 9
    assert work.transactions.next_nonce(b"\x22" * 20, chain_nonce=0) == 0


def test_a_purpose_has_one_transaction_and_a_nonce_too(work: UnitOfWork) -> None:
    """CHN-2."""
    work.transactions.add(outgoing(4))
    with pytest.raises(RecordConflict):
        work.transactions.add(replace(outgoing(5), purpose=outgoing(4).purpose))


def test_two_transactions_cannot_share_a_nonce(databases: Databases) -> None:
    store = open_store_at(databases.place())
    with store.unit_of_work() as work:
        work.transactions.add(outgoing(4))
    with pytest.raises(StatementRefused), store.unit_of_work() as work:
        work.transactions.add(replace(outgoing(4), hash=b"\x09" * 32, purpose="other"))
    store.close()


def test_a_transaction_is_outstanding_until_it_is_final_once(work: UnitOfWork) -> None:
    for nonce in (2, 1):
        work.transactions.add(outgoing(nonce))
    assert [each.nonce for each in work.transactions.outstanding()] == [1, 2]
    work.transactions.finalise(outgoing(1).hash, block_number=7, succeeded=False)
    assert work.transactions.outstanding() == (outgoing(2),)
    final = work.transactions.get(outgoing(1).hash)
    assert final == replace(outgoing(1), state=TransactionState.REVERTED, block_number=7)
    assert work.transactions.by_purpose(outgoing(1).purpose) == final
    with pytest.raises(RecordMissing):
        work.transactions.finalise(outgoing(1).hash, block_number=8, succeeded=True)


# Chain log


def hash_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def advance_to(work: UnitOfWork, number: int) -> None:
    work.chain_log.advance(
        number=number, block_hash=hash_of(number), parent_hash=hash_of(max(0, number - 1))
    )


def test_the_checkpoint_moves_block_by_block_from_the_genesis(work: UnitOfWork) -> None:
    """CHN-4."""
    assert work.chain_log.checkpoint() is None
    with pytest.raises(ChainNotFollowed):
        work.chain_log.position()
    for number in range(3):
        advance_to(work, number)
    assert work.chain_log.position() == Checkpoint(2, hash_of(2))


@pytest.mark.parametrize(
    ("number", "parent"),
    [(2, 1), (1, 0), (0, 0), (4, 3), (3, 1)],
    ids=["duplicate", "earlier", "genesis again", "gap", "another parent"],
)
def test_the_checkpoint_refuses_any_block_that_is_not_next(
    work: UnitOfWork, number: int, parent: int
) -> None:
    """CHN-4."""
    for before in range(3):
        advance_to(work, before)
    with pytest.raises(ChainDiscontinuous):
        work.chain_log.advance(number=number, block_hash=b"\xff" * 32, parent_hash=hash_of(parent))
    assert work.chain_log.position() == Checkpoint(2, hash_of(2))


def test_the_chain_is_followed_from_its_genesis_block_only(work: UnitOfWork) -> None:
    with pytest.raises(ChainDiscontinuous):
        advance_to(work, 1)


def test_an_event_is_recorded_once(work: UnitOfWork) -> None:
    row = EventRow(
        block_number=1,
        block_hash=hash_of(1),
        log_index=0,
        transaction_hash=hash_of(9),
        address=SENDER,
        name="PaymentSettled",
        document="{}",
    )
    work.chain_log.record([row, replace(row, log_index=1)])
    with pytest.raises(RecordConflict):
        work.chain_log.record([row])
    assert work.chain_log.events(first=1, last=1) == (row, replace(row, log_index=1))


# Messages and inbox


def stored(message_id: str) -> StoredMessage:
    return StoredMessage(
        message_id=message_id,
        direction=MessageDirection.OUT,
        name="pacs.008.001.08",
        document=b"<Document/>",
        created_at=NOW,
        payment_id="pay_1",
        peer=BETA_LEI,
        salt=b"\x01" * 32,
    )


def test_a_message_is_kept_once_and_byte_for_byte(work: UnitOfWork) -> None:
    """STO-4."""
    work.messages.add(stored("one"))
    work.messages.add(replace(stored("one"), created_at=NOW + 9))
    assert work.messages.get("one") == stored("one")

    def keep_another() -> None:
        work.messages.add(replace(stored("one"), document=b"<Document />"))
        settle(work.connection)

    with pytest.raises(RecordConflict):
        keep_another()
    with pytest.raises(RecordMissing):
        work.messages.get("two")


def test_the_messages_of_a_payment_come_in_order(work: UnitOfWork) -> None:
    for message_id in ("one", "two"):
        work.messages.add(stored(message_id))
    work.messages.add(replace(stored("other"), payment_id="pay_2"))
    assert work.messages.of_payment("pay_1") == (stored("one"), stored("two"))


WAITING = InboxMessage(b"\x01" * 32, BETA_LEI, b"<Document/>", b"\x02" * 32, NOW)


def test_a_sealed_message_waits_until_it_is_taken_once(work: UnitOfWork) -> None:
    assert work.inbox.put(WAITING)
    assert work.inbox.get(WAITING.settlement_id) == WAITING
    assert work.inbox.take(WAITING.settlement_id) == WAITING
    assert work.inbox.take(WAITING.settlement_id) is None
    assert work.inbox.get(WAITING.settlement_id) == WAITING


@pytest.mark.parametrize("taken", [False, True])
def test_the_same_message_again_changes_nothing(work: UnitOfWork, taken: bool) -> None:
    """STO-7."""
    work.inbox.put(WAITING)
    if taken:
        work.inbox.take(WAITING.settlement_id)
    assert not work.inbox.put(replace(WAITING, received_at=NOW + 60))
    assert (work.inbox.take(WAITING.settlement_id) is None) == taken


CONFLICTS = {
    "another document": replace(WAITING, document=b"<Document />"),
    "another salt": replace(WAITING, salt=b"\x03" * 32),
    "another sender": replace(WAITING, sender_lei=ALPHA_LEI),
}


@pytest.mark.parametrize("second", CONFLICTS.values(), ids=CONFLICTS.keys())
def test_a_different_message_for_one_settlement_is_refused(
    work: UnitOfWork, second: InboxMessage
) -> None:
    """STO-7."""
    work.inbox.put(WAITING)
    with pytest.raises(InboxConflict):
        work.inbox.put(second)
    assert work.inbox.get(WAITING.settlement_id) == WAITING


# Quotes


def test_a_quote_is_followed_from_offer_to_fill(work: UnitOfWork) -> None:
    signed, key = signed_quote(), b"\x08" * 32
    work.quotes.add(signed)
    with pytest.raises(RecordConflict):
        work.quotes.add(signed)
    assert work.quotes.by_settlement_id(key) is None
    work.quotes.consume(signed.quote_hash, key)
    held = work.quotes.by_settlement_id(key)
    assert held is not None
    assert (held.quote, held.state) == (signed.quote, QuoteState.CONSUMED)
    work.quotes.mark(signed.quote_hash, QuoteState.FILLED)
    filled = work.quotes.by_settlement_id(key)
    assert filled is not None
    assert filled.state is QuoteState.FILLED
    with pytest.raises(RecordMissing):
        work.quotes.mark(b"\x09" * 32, QuoteState.RELEASED)


def test_a_released_quote_can_be_held_by_another_payment(work: UnitOfWork) -> None:
    signed = signed_quote()
    work.quotes.add(signed)
    work.quotes.consume(signed.quote_hash, b"\x01" * 32)
    work.quotes.mark(signed.quote_hash, QuoteState.RELEASED)
    work.quotes.consume(signed.quote_hash, b"\x02" * 32)
    assert work.quotes.by_settlement_id(b"\x01" * 32) is None
    assert work.quotes.by_settlement_id(b"\x02" * 32) is not None


# Issuances


def issuance(state: IssuanceState = IssuanceState.REQUESTED) -> Issuance:
    return Issuance(
        reference=b"\x01" * 32,
        participant_lei=ALPHA_LEI,
        amount=euros(10_000),
        account_reference=b"\x02" * 32,
        account_address=SENDER,
        state=state,
        created_at=NOW,
    )


def test_an_issuance_is_kept_once_per_reference(work: UnitOfWork) -> None:
    work.issuances.add(issuance())
    with pytest.raises(RecordConflict):
        work.issuances.add(issuance())
    funded = replace(advance(issuance(), IssuanceState.FUNDED), entry_id="issuance:1")
    work.issuances.save(funded)
    assert work.issuances.get(funded.reference) == funded
    assert work.issuances.all() == (funded,)
    assert work.issuances.find(b"\x09" * 32) is None
    with pytest.raises(RecordMissing):
        work.issuances.get(b"\x09" * 32)
    with pytest.raises(RecordMissing):
        work.issuances.save(replace(funded, reference=b"\x09" * 32))


STEPS = {
    (IssuanceState.REQUESTED, IssuanceState.FUNDED),
    (IssuanceState.REQUESTED, IssuanceState.REFUSED),
    (IssuanceState.FUNDED, IssuanceState.ISSUED),
    (IssuanceState.FUNDED, IssuanceState.REFUSED),
    (IssuanceState.REDEEMING, IssuanceState.REDEEMED),
    (IssuanceState.REDEEMING, IssuanceState.REFUSED),
    (IssuanceState.REFUSED, IssuanceState.ISSUED),
    (IssuanceState.REFUSED, IssuanceState.REDEEMED),
}


@pytest.mark.parametrize("before", list(IssuanceState))
@pytest.mark.parametrize("after", list(IssuanceState))
def test_an_issuance_takes_only_the_steps_of_its_life(
    before: IssuanceState, after: IssuanceState
) -> None:
    if (before, after) in STEPS:
        assert advance(issuance(before), after).state is after
        return
    with pytest.raises(UnexpectedIssuance):
        advance(issuance(before), after)


# Customers

ALICE = Customer(
    customer_id="alice",
    name="Alice",
    address=PostalAddress(town="Frankfurt am Main", country=parse_country("DE")),
    token_hash=b"\x01" * 32,
)
ALICES_ACCOUNT = CustomerAccount(
    account_id=DEPOSIT.account_id,
    customer_id="alice",
    scheme=AccountScheme.IBAN,
    identification="DE72500999990123456789",
    currency=EUR.code,
)


def test_a_customer_is_found_by_token_and_may_change(work: UnitOfWork) -> None:
    work.customers.upsert(ALICE)
    assert work.customers.by_token_hash(ALICE.token_hash) == ALICE
    moved = replace(
        ALICE,
        token_hash=b"\x02" * 32,
        address=PostalAddress(town="Mainz", country=parse_country("DE"), street="Rheinallee"),
    )
    work.customers.upsert(moved)
    assert work.customers.get("alice") == moved
    assert work.customers.by_token_hash(ALICE.token_hash) is None
    with pytest.raises(RecordConflict):
        work.customers.upsert(replace(ALICE, customer_id="bob", token_hash=moved.token_hash))


def test_an_account_number_stands_for_one_ledger_account(work: UnitOfWork) -> None:
    """STO-4."""
    work.customers.upsert(ALICE)
    work.customers.add_account(ALICES_ACCOUNT)
    work.customers.add_account(ALICES_ACCOUNT)
    assert work.customers.by_identification(ALICES_ACCOUNT.identification) == ALICES_ACCOUNT
    assert work.customers.account(DEPOSIT.account_id) == ALICES_ACCOUNT
    assert work.customers.accounts_of("alice") == (ALICES_ACCOUNT,)
    with pytest.raises(RecordConflict):
        work.customers.add_account(replace(ALICES_ACCOUNT, account_id="cash:EUR"))
    with pytest.raises(RecordConflict):
        work.customers.add_account(replace(ALICES_ACCOUNT, identification="other"))


def test_an_account_can_be_closed(work: UnitOfWork) -> None:
    work.customers.upsert(ALICE)
    work.customers.add_account(ALICES_ACCOUNT)
    work.customers.set_status(ALICES_ACCOUNT.account_id, CustomerAccountStatus.CLOSED)
    closed = work.customers.account(ALICES_ACCOUNT.account_id)
    assert closed is not None
    assert closed.status == "closed"
    with pytest.raises(RecordMissing):
        work.customers.set_status("nobody", CustomerAccountStatus.OPEN)

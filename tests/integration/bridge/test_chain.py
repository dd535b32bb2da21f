"""The bridge's end of the chain against a real node: read, send, follow, and die in between."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from bridge.chain import (
    AccountKind,
    Attestation,
    BlockData,
    ChainClient,
    FinalTransaction,
    Follower,
    Submitter,
    attestation_hash,
    registry_call,
    settlement_call,
    settlement_id,
    terms_of_event,
    token_call,
    uetr_hash,
)
from bridge.chain.encoding import REGISTRY
from bridge.chain.follower import DIRECTORY_SECONDS_MAX, TOGETHER_EVENTS_MAX
from bridge.errors import (
    CallReverted,
    ChainDiscontinuous,
    ChainWrong,
    CurrencyNotIssued,
    NodeUnavailable,
    NonceTaken,
    ParticipantUnknown,
    PaymentUnknown,
    TransactionRefused,
)
from bridge.store import Checkpoint, Store, TransactionState, UnitOfWork
from bridge.store.chain_log import EventRow
from support.chain_orders import (
    expire_call,
    order,
    plain_terms,
    settle,
    signer_of,
    submitter_of,
    wait_for,
)
from support.node_process import NodeProcess, free_port, make_genesis, running_node
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUROSYSTEM,
    INSTITUTIONS,
    MAKER,
    OPERATOR,
    network_file,
)
from support.transactions import CHAIN_ID

GENESIS_TIME = 1_700_000_000
EUR_NUMERIC = 978


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    directory = tmp_path_factory.mktemp("node")
    genesis = make_genesis(directory, {**network_file(), "genesis_time": GENESIS_TIME})
    with running_node(genesis, directory / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(node: NodeProcess) -> ChainClient:
    return ChainClient(node.url, CHAIN_ID)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "bridge.sqlite")
    yield opened
    opened.close()


def ignore(_: UnitOfWork, __: BlockData, ___: tuple[FinalTransaction, ...]) -> None:
    """A handler that books nothing."""


@pytest.fixture(scope="module")
def funded(client: ChainClient, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Euro issued to Alpha against an attestation, all through the bridge's own code."""
    store = Store.open(tmp_path_factory.mktemp("issuer") / "bridge.sqlite")
    submitter = submitter_of(store, client, EUROSYSTEM)
    now = int(time.time())
    attestation = Attestation(1, now, now + 3_600, 1_000_000, keccak(b"statement"))
    digest = attestation_hash(attestation, EUR_NUMERIC, CHAIN_ID)
    signature = signer_of(EUROSYSTEM, "attesting").sign_digest(digest)
    submitter.submit(order("attest:1", token_call(EUR_NUMERIC, "attest", (attestation, signature))))
    issue = token_call(EUR_NUMERIC, "issue", (b"\x01" * 32, ALPHA.settlement.address, 100_000))
    submitter.submit(order("issue:1", issue))
    settle(submitter)
    assert client.latest_attestation(EUR_NUMERIC) == attestation
    store.close()
    return 100_000


# Reading


def test_a_node_of_the_right_chain_is_accepted_and_any_other_refused(
    client: ChainClient, node: NodeProcess
) -> None:
    """CHN-8."""
    genesis = client.block(0)
    assert genesis is not None
    client.check_chain(genesis.ref.hash)
    with pytest.raises(ChainWrong, match="genesis"):
        client.check_chain(b"\x01" * 32)
    with pytest.raises(ChainWrong, match="chain id"):
        ChainClient(node.url, CHAIN_ID + 1).check_chain(genesis.ref.hash)


def test_a_block_the_chain_has_not_reached_is_absent(client: ChainClient) -> None:
    assert client.block(client.head().number + 1_000) is None


def test_the_directory_is_the_network_file(client: ChainClient) -> None:
    directory = client.directory()
    assert {each.lei for each in directory.participants} == {
        each.lei.decode() for each in INSTITUTIONS
    }
    alpha = directory.by_lei(ALPHA.lei.decode())
    entry = ALPHA.entry()
    assert (alpha.bic, alpha.country, alpha.endpoint) == ("ALPHDEFF", "DE", entry["endpoint"])
    assert (alpha.is_admitted, alpha.roles) == (True, frozenset({"bank"}))
    assert "0x" + alpha.sealing_key.hex() == entry["sealing_key"]
    assert "0x" + alpha.signing_key.hex() == entry["signing_key"]
    assert alpha.settlement_reference == ALPHA.reference()
    assert alpha.settlement_address == ALPHA.settlement.address
    assert alpha.addresses(AccountKind.QUOTING) == {ALPHA.account("quoting").address}
    assert directory.owner_of(ALPHA.reference()) == alpha
    assert directory.owner_of(b"\x09" * 32) is None
    assert directory.owner_of_address(ALPHA.operating.address) == alpha
    assert client.directory() is directory


def test_a_bank_is_found_by_either_form_of_its_bic(client: ChainClient) -> None:
    directory = client.directory()
    for bic in ("ALPHDEFF", "ALPHDEFFXXX"):
        found = directory.find_bank(bic)
        assert found is not None
        assert found.lei == ALPHA.lei.decode()
    assert directory.find_bank("ALPHDEFF123") is None
    assert directory.find_bank("EUROBEBB") is None, "a central bank is no bank of a customer"


def test_a_participant_nobody_admitted_is_unknown(client: ChainClient) -> None:
    with pytest.raises(ParticipantUnknown):
        client.directory().by_lei("X" * 20)
    with pytest.raises(ParticipantUnknown):
        client.directory().owner_of_address(b"\x09" * 20)


def test_the_currencies_are_those_with_a_token(client: ChainClient) -> None:
    assert client.currencies() == {"EUR", "SGD"}
    assert client.issuer_of("SGD") == AUTHORITY.lei.decode()
    with pytest.raises(CurrencyNotIssued):
        client.issuer_of("CHF")


def test_figures_are_read_at_the_block_that_is_asked_for(client: ChainClient, funded: int) -> None:
    holder = ALPHA.settlement.address
    number = client.head().number
    assert client.total_supply(EUR_NUMERIC) == funded
    assert client.balance_of(EUR_NUMERIC, holder, block_number=number) == funded
    assert client.balance_of(EUR_NUMERIC, holder, block_number=0) == 0
    assert client.total_supply(EUR_NUMERIC, block_number=0) == 0
    assert client.is_issue_reference_used(EUR_NUMERIC, b"\x01" * 32)
    assert not client.is_issue_reference_used(EUR_NUMERIC, b"\x02" * 32)


def test_a_refusal_of_a_contract_is_named(client: ChainClient) -> None:
    call = registry_call("participant", (b"X" * 20,))
    with pytest.raises(CallReverted, match="RegistryParticipantUnknown"):
        client.call(REGISTRY, call, "participant")


def test_a_node_that_is_not_there_is_unavailable(store: Store) -> None:
    nobody = ChainClient(f"http://127.0.0.1:{free_port()}", CHAIN_ID)
    with pytest.raises(NodeUnavailable):
        nobody.head()
    submitter = submitter_of(store, nobody, ALPHA)
    with pytest.raises(NodeUnavailable):
        submitter.prepare(order("one", expire_call(b"\x01" * 32)))
    with pytest.raises(NodeUnavailable):
        Follower(store, nobody, ignore).step()


# A payment, sent and followed


@pytest.mark.usefixtures("funded")
def test_a_payment_is_instructed_accepted_and_followed(
    client: ChainClient, store: Store, tmp_path: Path
) -> None:
    uetr = "3f2b8a6e-1c4d-4e5f-8a9b-0c1d2e3f4a5b"
    terms = plain_terms(2_500)
    key = settlement_id(ALPHA.lei.decode(), uetr)
    seen: list[str] = []
    own: list[FinalTransaction] = []

    def observe(_: UnitOfWork, block: BlockData, final: tuple[FinalTransaction, ...]) -> None:
        seen.extend(event.name for event in block.events if event.arguments.get("paymentId") == key)
        own.extend(final)
        for event in block.events:
            if event.name == "Instructed" and event.arguments["paymentId"] == key:
                assert terms_of_event(event) == terms

    alpha = submitter_of(store, client, ALPHA)
    follower = Follower(store, client, observe)
    call = settlement_call("instruct", (uetr_hash(uetr), terms))
    sent = alpha.submit(order("pay_1:instruct", call, "pay_1"))
    other = Store.open(tmp_path / "beta.sqlite")
    beta = submitter_of(other, client, BETA)
    wait_for(client, sent)
    beta.submit(order("pay_1:accept", settlement_call("accept", (key, terms, 0, 0))))
    settle(beta)
    other.close()
    assert follower.catch_up() == client.head().number + 1
    assert follower.step() == 0
    assert seen == ["Instructed", "Accepted", "PaymentSettled"]
    (final,) = own
    assert (final.transaction_hash, final.purpose) == (sent.hash, "pay_1:instruct")
    assert (final.payment_id, final.succeeded) == ("pay_1", True)
    assert client.balance_of(EUR_NUMERIC, BETA.settlement.address) == 2_500
    with store.reading() as work:
        assert work.transactions.outstanding() == ()
        assert work.chain_log.position().hash == client.head().hash
        events = work.chain_log.events(first=0, last=final.block_number)
    assert [event.name for event in events if key.hex() in event.document][:1] == ["Instructed"]


def test_a_transaction_that_reverts_is_final_without_success(
    client: ChainClient, store: Store
) -> None:
    alpha = submitter_of(store, client, ALPHA)
    reverting = alpha.submit(order("reverts", expire_call(b"\x02" * 32)))
    wait_for(client, reverting)
    own: list[FinalTransaction] = []
    Follower(store, client, lambda _, __, final: own.extend(final)).catch_up()
    assert [(each.purpose, each.succeeded) for each in own] == [("reverts", False)]
    with store.reading() as work:
        kept = work.transactions.get(reverting.hash)
    assert kept is not None
    assert kept.state is TransactionState.REVERTED


# Dying in between


def test_death_between_keeping_and_sending_sends_the_very_same_bytes(
    client: ChainClient, tmp_path: Path
) -> None:
    """CHN-1, CHN-2."""
    path = tmp_path / "bridge.sqlite"
    call = order("one", expire_call(b"\x03" * 32))
    before = Store.open(path)
    prepared = submitter_of(before, client, ALPHA).prepare(call)
    before.close()
    assert client.receipt(prepared.hash) is None

    after = Store.open(path)
    submitter = submitter_of(after, client, ALPHA)
    assert submitter.resend_outstanding()
    wait_for(client, prepared)
    assert submitter.submit(call) == prepared
    settle(submitter)
    assert not submitter.resend_outstanding()
    assert client.nonce(ALPHA.operating.address) == prepared.nonce + 1
    again = submitter.submit(call)
    assert (again.hash, again.raw) == (prepared.hash, prepared.raw)
    assert client.nonce(ALPHA.operating.address) == prepared.nonce + 1
    after.close()


def test_many_threads_sign_in_one_row_of_nonces(client: ChainClient, store: Store) -> None:
    """CHN-3."""
    submitter = submitter_of(store, client, ALPHA)
    first = client.nonce(ALPHA.operating.address)
    calls = [
        order(f"parallel:{number}", expire_call(bytes([number]) * 32)) for number in range(1, 9)
    ]
    threads = [threading.Thread(target=submitter.submit, args=(call,)) for call in [*calls, *calls]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(submitter)
    with store.reading() as work:
        kept = [work.transactions.by_purpose(call.purpose) for call in calls]
    assert sorted(each.nonce for each in kept if each) == list(range(first, first + 8))


def test_a_nonce_used_by_somebody_else_with_our_key_is_noticed(
    client: ChainClient, store: Store, tmp_path: Path
) -> None:
    """CHN-3."""
    other = Store.open(tmp_path / "other.sqlite")
    ours, theirs = (submitter_of(each, client, BETA) for each in (store, other))
    mine = order("mine", expire_call(b"\x04" * 32))
    ours.prepare(mine)
    wait_for(client, theirs.submit(order("theirs", expire_call(b"\x05" * 32))))
    with pytest.raises(NonceTaken):
        ours.submit(mine)
    other.close()


def test_a_key_that_is_not_admitted_is_refused_by_name(client: ChainClient, store: Store) -> None:
    stranger = Submitter(store, client, signer_of(OPERATOR, "settlement"), lambda: 0)
    with pytest.raises(TransactionRefused, match="not permitted"):
        stranger.submit(order("one", expire_call(b"\x01" * 32)))
    assert stranger.resend_outstanding(), "it stays kept: an admission later lets it through"


@pytest.mark.usefixtures("funded")
def test_a_change_is_known_soon_after_its_time_though_no_event_tells(
    client: ChainClient, store: Store
) -> None:
    seconds = 0.0
    follower = Follower(store, client, ignore, lambda: seconds)
    operator = submitter_of(store, client, OPERATOR)
    due = int(time.time()) + 3
    data = ("http://new.example", due)
    later = registry_call("setEndpoint", (MAKER.lei, *data))
    operator.submit(order("endpoint:1", later))
    settle(operator)
    follower.catch_up()
    assert client.directory().by_lei(MAKER.lei.decode()).endpoint == "http://maker.example"
    time.sleep(max(0.0, due + 1 - time.time()))
    seconds += DIRECTORY_SECONDS_MAX + 1
    nothing_of_the_registry = token_call(EUR_NUMERIC, "approve", (ALPHA.settlement.address, 0))
    operator.submit(order("approve:1", nothing_of_the_registry))
    settle(operator)
    follower.catch_up()
    assert client.directory().by_lei(MAKER.lei.decode()).endpoint == data[0]


@pytest.mark.usefixtures("funded")
def test_following_twice_gives_the_same_tables(client: ChainClient, tmp_path: Path) -> None:
    """CHN-5."""
    dumps = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}.sqlite"
        replayed = Store.open(path)
        Follower(replayed, client, ignore).catch_up()
        replayed.close()
        with sqlite3.connect(path) as connection:
            dumps.append(list(connection.iterdump()))
        connection.close()
    assert dumps[0] == dumps[1]
    assert any("Issued" in line for line in dumps[0])


@pytest.mark.usefixtures("funded")
def test_a_handler_that_fails_leaves_nothing_of_its_block(
    client: ChainClient, store: Store
) -> None:
    """CHN-5. And everything of those before it, also where they would have shared its transaction."""
    failing = [True]

    def fail(work: UnitOfWork, block: BlockData, _: tuple[FinalTransaction, ...]) -> None:
        if failing and any(event.name == "Issued" for event in block.events):
            work.payments.get("missing")

    follower = Follower(store, client, fail)
    with pytest.raises(PaymentUnknown):
        follower.catch_up()
    with store.reading() as work:
        stuck = work.chain_log.position()
        events = work.chain_log.events(first=0, last=2**31)
    wrong = client.block(stuck.number + 1)
    assert wrong is not None
    assert "Issued" in {event.name for event in wrong.events}
    assert {event.block_number for event in events} <= set(range(stuck.number + 1))
    failing.clear()
    follower.catch_up()
    with store.reading() as work:
        assert work.chain_log.position().number > stuck.number
        assert work.chain_log.events(first=stuck.number + 1, last=stuck.number + 1) != ()


@pytest.mark.usefixtures("funded")
def test_far_behind_blocks_share_a_transaction_up_to_a_number_of_events(
    client: ChainClient, store: Store
) -> None:
    """CHN-5."""
    units: list[UnitOfWork] = []
    events: list[list[int]] = []

    def count(work: UnitOfWork, block: BlockData, _: tuple[FinalTransaction, ...]) -> None:
        if not units or units[-1] is not work:
            units.append(work)
            events.append([])
        events[-1].append(len(block.events))

    follower = Follower(store, client, count)
    assert follower.catch_up() == client.head().number + 1 == sum(map(len, events))
    assert max(map(len, events)) > 1
    assert all(sum(each[:-1]) < TOGETHER_EVENTS_MAX for each in events)
    assert follower.step() == 0


@pytest.mark.parametrize(
    ("followed", "given"),
    [(1, 2), (1, 0), (2, 0)],
    ids=["gap", "duplicate", "out of order"],
)
@pytest.mark.usefixtures("funded")
def test_a_node_that_answers_with_another_block_is_refused(
    client: ChainClient,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    followed: int,
    given: int,
) -> None:
    """CHN-4: and nothing of that block is kept."""
    follower = Follower(store, client, ignore)
    for _ in range(followed):
        assert follower.step()
    before = kept(store)
    block = client.block(given)
    with monkeypatch.context() as lying:
        lying.setattr(ChainClient, "blocks", lambda *_: (block,))
        with pytest.raises(ChainDiscontinuous, match="one by one"):
            Follower(store, client, ignore).step()
    assert kept(store) == before
    follower.catch_up()
    with store.reading() as work:
        assert work.chain_log.position().hash == client.head().hash


@pytest.mark.usefixtures("funded")
def test_a_block_with_another_parent_is_refused(
    client: ChainClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CHN-4."""
    follower = Follower(store, client, ignore)
    assert follower.step()
    before = kept(store)
    true = client.block(1)
    assert true is not None
    strange = replace(true, ref=replace(true.ref, parent_hash=b"\x0f" * 32))
    with monkeypatch.context() as lying:
        lying.setattr(ChainClient, "blocks", lambda *_: (strange,))
        with pytest.raises(ChainDiscontinuous, match="parent"):
            Follower(store, client, ignore).step()
    assert kept(store) == before


def kept(store: Store) -> tuple[Checkpoint, tuple[EventRow, ...]]:
    """What a store has kept of the chain."""
    with store.reading() as work:
        return work.chain_log.position(), work.chain_log.events(first=0, last=2**31)


def test_a_chain_that_changed_under_the_checkpoint_is_refused(
    client: ChainClient, store: Store
) -> None:
    """CHN-4."""
    with store.unit_of_work() as work:
        work.chain_log.advance(number=0, block_hash=b"\xff" * 32, parent_hash=bytes(32))
    with pytest.raises(ChainDiscontinuous):
        Follower(store, client, ignore).step()
    with store.reading() as work:
        assert work.chain_log.position() == Checkpoint(0, b"\xff" * 32)

"""Events by cursor: pages, cursors, selections and what our own contracts' logs say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

import contracts
from node.block import Log
from node.errors import CursorAhead, CursorMalformed, CursorOfAnotherChain, HistoryPruned
from node.events import CURSOR_BYTES, EventSelection, decode_cursor, decode_event, encode_cursor
from node.events.decoder import CONTRACTS, contract_at, events_of, topics_of
from node.history import PAGE_BYTES_MAX, History, LogPageQuery, LogPlace
from node.primitives import Address, Hash32, keccak
from node.rpc.faults import WireError, describe_error
from node.rpc.methods.events import EVENTS_MAX
from support.core import Core, open_core
from support.log_chain import LogChain
from support.settlement_network import ALPHA, BETA, GENESIS_TIME, OPERATOR
from support.transactions import Draft

SOMEBODY = Address(b"\x77" * 20)
SETTLEMENT = Address(contracts.SETTLEMENT_ADDRESS)
PAYMENT = keccak(b"payment")
ANOTHER = keccak(b"another")
BEGINNING = LogPlace.end_of(0)


def settled(payment_id: Hash32, address: Address = SETTLEMENT) -> Log:
    (topic,) = topics_of("PaymentSettled")
    return Log(address, (topic, payment_id), keccak(b"terms"))


def plain(data: bytes = b"") -> Log:
    return Log(SOMEBODY, (keccak(b"Plain()"),), data)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[LogChain]:
    opened = LogChain(tmp_path / "chain")
    yield opened
    opened.store.close()


def walk(history: History, selection: EventSelection, limit: int) -> list[LogPlace]:
    """The places of all the events of a selection, page by page from the beginning."""
    places: list[LogPlace] = []
    after = BEGINNING
    while True:
        page = history.log_page(selection.query(after, limit))
        places += [LogPlace(each.number, each.log_index) for each in page.records]
        if page.examined_to == after:
            return places
        assert page.examined_to > after
        after = page.examined_to


def test_a_cursor_names_a_place_of_one_chain_and_no_other() -> None:
    """N-80."""
    here, elsewhere = keccak(b"here"), keccak(b"elsewhere")
    place = LogPlace(7, 3)
    cursor = encode_cursor(here, place)
    assert len(cursor) == CURSOR_BYTES
    assert decode_cursor(cursor, here) == place
    with pytest.raises(CursorOfAnotherChain) as refused:
        decode_cursor(cursor, elsewhere)
    assert (refused.value.expected, refused.value.found) == (elsewhere[:8], here[:8])


@pytest.mark.parametrize(
    "change",
    [
        lambda cursor: cursor[:0],
        lambda cursor: cursor[:-1],
        lambda cursor: cursor + b"\0",
        lambda cursor: cursor[:15] + bytes([cursor[15] ^ 1]) + cursor[16:],
        lambda cursor: cursor[:-1] + bytes([cursor[-1] ^ 1]),
        lambda cursor: b"\x02" + cursor[1:],
    ],
)
def test_what_is_no_cursor_is_refused_by_name(change: Any) -> None:
    """N-80."""
    genesis = keccak(b"genesis")
    with pytest.raises(CursorMalformed):
        decode_cursor(change(encode_cursor(genesis, LogPlace(1, 2))), genesis)


def test_a_cursor_of_a_later_version_is_refused_even_where_it_is_whole() -> None:
    """N-80."""
    genesis = keccak(b"genesis")
    content = b"\x02" + encode_cursor(genesis, LogPlace(1, 2))[1:21]
    with pytest.raises(CursorMalformed, match="version 2"):
        decode_cursor(content + keccak(content)[:4], genesis)


def test_pages_hold_every_log_once_in_order_and_the_last_one_ends_at_the_head(
    chain: LogChain,
) -> None:
    """N-81."""
    for _ in range(3):
        chain.add_block([[plain(), plain()], [], [plain()]])
    history = History(chain.store)
    everything = [LogPlace(number, index) for number in (1, 2, 3) for index in (0, 1, 2)]
    for limit in (1, 2, 3, 4, 100):
        assert walk(history, EventSelection(), limit) == everything
    page = history.log_page(LogPageQuery(BEGINNING, 100))
    assert page.examined_to == LogPlace.end_of(3)
    assert page.head == chain.head
    assert history.log_page(LogPageQuery(LogPlace(2, 1), 100)).records == page.records[5:]
    bounded = history.log_page(LogPageQuery(BEGINNING, 100, to_number=2))
    assert (bounded.records, bounded.examined_to) == (page.records[:6], LogPlace.end_of(2))


def test_a_selective_page_does_bounded_work_and_gets_on_without_a_find(chain: LogChain) -> None:
    """N-82."""
    for _ in range(30):
        chain.add_block([[settled(ANOTHER), plain()]])
    chain.add_block([[settled(PAYMENT, SOMEBODY), settled(PAYMENT)]])
    history = History(chain.store, page_examined_max=10)
    # The event's name alone is in the index; that the log is of our contract is looked at one by one.
    selection = EventSelection(names=("PaymentSettled",))
    pages = []
    after = BEGINNING
    while after < LogPlace.end_of(31):
        page = history.log_page(selection.query(after, 100))
        assert page.examined_to > after
        after = page.examined_to
        pages.append(page)
    assert sum(len(page.records) for page in pages) == 31
    assert len(pages) > 5
    strangers = EventSelection(addresses=(Address(b"\x01" * 20),), names=("PaymentSettled",))
    assert walk(history, strangers, 100) == []


def test_a_page_ends_before_it_grows_large_but_holds_one_log_in_any_case(chain: LogChain) -> None:
    """N-82."""
    large = bytes(PAGE_BYTES_MAX // 2 + 1)
    chain.add_block([[plain(large) for _ in range(5)], [plain(bytes(PAGE_BYTES_MAX + 1))]])
    history = History(chain.store)
    assert len(history.log_page(LogPageQuery(BEGINNING, 100)).records) == 2
    assert len(history.log_page(LogPageQuery(LogPlace(1, 4), 100)).records) == 1
    assert len(walk(history, EventSelection(), 100)) == 6


def test_a_node_that_is_behind_says_so_and_does_not_answer_nothing(chain: LogChain) -> None:
    """N-83."""
    chain.add_block([[plain()]])
    history = History(chain.store)
    assert history.log_page(LogPageQuery(LogPlace.end_of(1), 1)).records == ()
    with pytest.raises(CursorAhead) as refused:
        history.log_page(LogPageQuery(LogPlace(2, 0), 1))
    assert (refused.value.number, refused.value.head_number) == (2, 1)


def test_a_range_that_is_no_longer_held_is_refused_with_the_first_block_that_is(
    chain: LogChain,
) -> None:
    """N-84."""
    for _ in range(4):
        chain.add_block([[plain(), plain()]])
    chain.forget_before(3)
    history = History(chain.store)
    for after in (BEGINNING, LogPlace(1, 1), LogPlace(2, 0)):
        with pytest.raises(HistoryPruned) as refused:
            history.log_page(LogPageQuery(after, 10))
        assert refused.value.first_number == 3
    assert len(history.log_page(LogPageQuery(LogPlace.end_of(2), 10)).records) == 4


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (EventSelection(), [0, 1, 2, 3, 4]),
        (EventSelection(names=("PaymentSettled",)), [0, 1]),
        (EventSelection(payment_ids=(PAYMENT,)), [0]),
        (EventSelection(payment_ids=(PAYMENT, ANOTHER)), [0, 1]),
        (EventSelection(names=("PaymentExpired",), payment_ids=(PAYMENT,)), []),
        (EventSelection(addresses=(SOMEBODY,), payment_ids=(PAYMENT,)), []),
        (EventSelection(addresses=(SOMEBODY,)), [2, 3]),
        (EventSelection(names=("PaymentSettled", "Transfer")), [0, 1, 4]),
        (EventSelection(topics=((), (PAYMENT,))), [0, 2]),
    ],
)
def test_events_are_selected_by_address_topic_name_and_payment(
    chain: LogChain, selection: EventSelection, expected: list[int]
) -> None:
    """N-85."""
    token = Address(contracts.currency_token_address(978))
    (transfer,) = topics_of("Transfer")
    words = (Hash32(bytes(12) + SOMEBODY), Hash32(bytes(12) + SETTLEMENT))
    chain.add_block(
        [
            [settled(PAYMENT), settled(ANOTHER), settled(PAYMENT, SOMEBODY), plain()],
            [Log(token, (transfer, *words), (5).to_bytes(32, "big"))],
        ]
    )
    found = walk(History(chain.store), selection, 2)
    assert [place.log_index for place in found] == expected


def test_every_event_of_our_contracts_is_known_by_its_topic() -> None:
    """N-85."""
    transfer = keccak(b"Transfer(address,address,uint256)")
    assert topics_of("Transfer") == (transfer,)
    assert events_of("CurrencyToken")[transfer]["name"] == "Transfer"
    assert topics_of("NoSuchEvent") == ()
    assert all(events_of(contract) for contract in CONTRACTS)
    assert contract_at(contracts.currency_token_address(702)) == "CurrencyToken"
    assert contract_at(contracts.ACCESS_MANAGER_ADDRESS) == "AccessManager"
    assert contract_at(contracts.NODE_REGISTRY_ADDRESS) == "NodeRegistry"
    assert contract_at(SOMEBODY) is None


def test_a_payment_event_is_read_with_its_named_values() -> None:
    """N-85."""
    decoded = decode_event(settled(PAYMENT))
    assert decoded is not None
    assert (decoded.contract, decoded.name) == ("PaymentSettlement", "PaymentSettled")
    assert dict(decoded.values) == {"paymentId": PAYMENT, "termsHash": keccak(b"terms")}


def test_structs_arrays_and_addresses_are_named_in_the_order_of_the_abi() -> None:
    """N-85."""
    (topic,) = topics_of("Instructed")
    (entry,) = [
        each for each in contracts.load("PaymentSettlement").abi if each.get("name") == "Instructed"
    ]
    terms = entry["inputs"][-1]["components"]
    sample = {"uint256": 7, "bytes32": bytes(PAYMENT), "bytes3": b"EUR", "bool": False}

    def made(parameter: dict[str, Any]) -> Any:
        if parameter["type"] == "tuple[]":
            return [tuple(made(part) for part in parameter["components"])] * 2
        return sample.get(parameter["type"], 1)

    def typed(parameter: dict[str, Any]) -> str:
        if parameter["type"] == "tuple[]":
            return f"({','.join(typed(part) for part in parameter['components'])})[]"
        return str(parameter["type"])

    kinds = f"({','.join(typed(part) for part in terms)})"
    data = encode(["bytes32", kinds], [PAYMENT, tuple(made(part) for part in terms)])
    log = Log(SETTLEMENT, (topic, PAYMENT, Hash32(ALPHA.lei + bytes(12))), data)
    decoded = decode_event(log)
    assert decoded is not None
    assert list(decoded.values) == ["paymentId", "participant", "uetrHash", "terms"]
    assert decoded.values["participant"] == ALPHA.lei
    read: Any = decoded.values["terms"]
    assert list(read) == [part["name"] for part in terms]
    assert [leg["currency"] for leg in read["legs"]] == [b"EUR", b"EUR"]


@pytest.mark.parametrize(
    "log",
    [
        Log(SETTLEMENT, (), b""),
        Log(SETTLEMENT, (keccak(b"Unknown()"),), b""),
        Log(SETTLEMENT, (*topics_of("PaymentSettled"), PAYMENT), b"short"),
        Log(SETTLEMENT, topics_of("PaymentSettled"), keccak(b"terms")),
        Log(
            Address(contracts.REGISTRY_ADDRESS),
            (*topics_of("EndpointChanged"), PAYMENT),
            encode(["bytes"], [b"\xff\xfe"]),
        ),
        settled(PAYMENT, SOMEBODY),
    ],
)
def test_what_cannot_be_read_is_not_decoded(log: Log) -> None:
    """N-85."""
    assert decode_event(log) is None


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """Two suspensions: two blocks with a log each."""
    opened = open_core(tmp_path_factory.mktemp("core") / "chain")
    for nonce, institution in enumerate((ALPHA, BETA)):
        data = keccak(b"suspend(bytes20,uint40)")[:4] + encode(
            ["bytes20", "uint40"], [institution.lei, 0]
        )
        draft = Draft(nonce=nonce, to=contracts.REGISTRY_ADDRESS, data=data, gas_limit=300_000)
        opened.send(draft.signed_by(OPERATOR.operating))
    yield opened
    opened.store.close()


def test_events_are_served_with_block_transaction_raw_log_values_and_cursor(core: Core) -> None:
    """N-81, N-85."""
    answer = core.ask("corridor_getEvents")
    first, second = answer["events"]
    head = core.history.head()
    assert answer["head"] == {"number": "0x2", "hash": "0x" + head.hash.hex()}
    assert [first["log"], second["log"]] == core.ask("eth_getLogs", {"fromBlock": "0x0"})
    assert first["event"] == {
        "contract": "ParticipantRegistry",
        "name": "ParticipantSuspended",
        "values": {
            "lei": "0x" + ALPHA.lei.hex(),
            "effectiveAt": hex(GENESIS_TIME),
            "until": "0xffffffffff",
        },
    }
    assert core.ask("corridor_getEvents", first["cursor"])["events"] == [second]
    rest = core.ask("corridor_getEvents", answer["next"])
    assert (rest["events"], rest["next"]) == ([], answer["next"])
    assert core.ask("corridor_getEvents", None, 1)["events"] == [first]
    assert core.ask("corridor_getEvents", "earliest", 1) == core.ask("corridor_getEvents", None, 1)
    assert core.ask("corridor_getEvents", "latest") == rest
    assert core.ask("corridor_getEvents", {"fromBlock": "0x2"})["events"] == [second]
    assert core.ask("corridor_getEvents", {"fromBlock": "0x0"})["events"] == [first, second]


def test_events_are_filtered_by_name_on_the_wire(core: Core) -> None:
    """N-85."""
    suspended = {"events": ["ParticipantSuspended"]}
    assert len(core.ask("corridor_getEvents", None, None, suspended)["events"]) == 2
    other = {"events": "ParticipantReinstated"}
    assert core.ask("corridor_getEvents", None, None, other)["events"] == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (["0x1234"], -32602),
        (["soon"], -32602),
        ([7], -32602),
        (["0x" + "zz" * CURSOR_BYTES], -32602),
        ([{"fromBlock": "0x1", "toBlock": "0x2"}], -32602),
        ([{"fromBlock": "0x7"}], -32002),
        ([None, 0], -32602),
        ([None, EVENTS_MAX + 1], -32602),
        ([None, True], -32602),
        ([None, 1, {"events": ["NoSuchEvent"]}], -32602),
        ([None, 1, {"events": []}], -32602),
        ([None, 1, {"events": ["Accepted"], "topics": [None, None]}], -32602),
        ([None, 1, {"fromBlock": "0x0"}], -32602),
        ([None, 1, {"paymentId": "0x12"}], -32602),
    ],
)
def test_a_wrong_question_about_events_is_refused(core: Core, params: list[Any], code: int) -> None:
    """N-80, N-83."""
    refused = core.ask("corridor_getEvents", *params)
    assert isinstance(refused, WireError), refused
    assert refused.code == code


def test_what_is_pruned_and_what_is_foreign_is_said_on_the_wire(tmp_path: Path, core: Core) -> None:
    """N-80, N-84."""
    elsewhere = LogChain(tmp_path / "chain", extra_data=b"other")
    cursor = encode_cursor(elsewhere.genesis_hash, BEGINNING)
    elsewhere.store.close()
    refused = core.ask("corridor_getEvents", "0x" + cursor.hex())
    assert "belongs to the chain with genesis" in refused.message
    pruned = describe_error(HistoryPruned(18))
    assert (pruned.code, pruned.data) == (4444, "0x12")
    assert "first block kept here is 18" in pruned.message

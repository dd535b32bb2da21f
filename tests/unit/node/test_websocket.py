"""WebSocket connections without a network: subscriptions, limits, and how a connection ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from node.block import Log
from node.config import ClientSettings
from node.errors import StoreCorrupt
from node.history import History, LogPage, LogPageQuery
from node.link import Head
from node.pool import DropReason, PoolEvent
from node.primitives import Address, Hash32, keccak
from node.rpc import access, subscriptions, websocket
from node.rpc.budget import Budget
from node.rpc.calls import Dispatcher
from node.rpc.faults import FORBIDDEN
from node.rpc.outbox import Message, Outbox
from node.rpc.server import Scope
from node.rpc.subscriptions import PAGE_HEADS_MAX, SUBSCRIPTIONS_MAX
from node.rpc.websocket import CALLS_MAX, SOCKETS_MAX
from support.core import Core, open_core
from support.log_chain import LogChain
from support.rpc_face import face_settings
from support.settlement_network import ALPHA
from support.socket_server import Face, make_face
from support.transactions import Draft

SENDER = Address(b"\xaa" * 20)
HASH = keccak(b"transaction")
SOMEBODY = Address(b"\x77" * 20)


class Client:
    """The far end of a connection, in place of uvicorn."""

    def __init__(self, **headers: str) -> None:
        named = {"host": "localhost", **headers}
        self.scope: Scope = {
            "type": "websocket",
            "path": "/",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.incoming: asyncio.Queue[Scope] = asyncio.Queue()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.outgoing: asyncio.Queue[Scope] = asyncio.Queue()
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.asked = 0
        self.is_held = asyncio.Event()

    def say(self, method: str, *params: Any) -> None:
        self.asked += 1
        request = {"jsonrpc": "2.0", "id": self.asked, "method": method, "params": list(params)}
        self.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(request)})

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect"})

    async def ask(self, method: str, *params: Any) -> Any:
        self.say(method, *params)
        answer = await self.hear()
        assert answer["id"] == self.asked, answer
        return answer.get("result", answer.get("error"))

    async def hear(self) -> Any:
        event = await self.outgoing.get()
        return json.loads(event["text"]) if event["type"] == "websocket.send" else event

    async def told(self) -> Any:
        return (await self.hear())["params"]["result"]

    async def send(self, event: Scope) -> None:
        if event["type"] == "websocket.send":
            self.is_held.set()
            await self.is_reading.wait()
        self.outgoing.put_nowait(event)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


def played(face: Face, scenario: Callable[[], Awaitable[None]]) -> None:
    """Runs a scenario to its end."""

    async def run() -> None:
        async with asyncio.timeout(30):
            await scenario()

    try:
        asyncio.run(run())
    finally:
        face.close()


@asynccontextmanager
async def connected(face: Face, **headers: str) -> AsyncIterator[Client]:
    """A client that is connected, and leaves at the end."""
    client = Client(**headers)
    served = asyncio.create_task(face.sockets(client.scope, client.incoming.get, client.send))
    assert (await client.outgoing.get())["type"] == "websocket.accept"
    yield client
    client.is_reading.set()
    client.leave()
    await served


def announce(face: Face) -> None:
    face.announcements.on_head(Head(0, Hash32(bytes(32))))


def pending(number: int) -> PoolEvent:
    return PoolEvent(keccak(number.to_bytes(4, "big")), SENDER, number, None)


def test_heads_that_arrive_at_once_are_walked_one_by_one(core: Core) -> None:
    """N-88."""
    face = make_face(core.view)

    async def scenario() -> None:
        async with connected(face) as client:
            await client.ask("eth_subscribe", "newHeads")
            for nonce in range(PAGE_HEADS_MAX + 3):
                core.send(Draft(nonce=nonce).signed_by(ALPHA.operating))
            announce(face)
            told = [await client.told() for _ in range(PAGE_HEADS_MAX + 3)]
        assert [int(each["number"], 16) for each in told] == list(range(1, PAGE_HEADS_MAX + 4))

    played(face, scenario)


def test_a_block_that_comes_while_a_subscription_is_answered_is_told(core: Core) -> None:
    """N-88."""
    face = make_face(core.view)

    async def scenario() -> None:
        async with connected(face) as client:
            client.is_reading.clear()
            client.say("eth_subscribe", "newHeads")
            await client.is_held.wait()
            core.send(Draft().signed_by(ALPHA.operating))
            announce(face)
            client.is_reading.set()
            assert "result" in await client.hear()
            assert (await client.told())["number"] == "0x1"

    played(face, scenario)


def test_pooled_transactions_are_told_by_hash_or_whole_and_dropped_ones_with_their_reason(
    core: Core,
) -> None:
    """N-88."""
    face = make_face(core.view)
    pooled = core.submit(Draft().signed_by(ALPHA.operating))
    executable = PoolEvent(pooled, ALPHA.operating.address, 0, None)
    dropped = PoolEvent(HASH, SENDER, 7, DropReason.REPLACED)

    async def scenario() -> None:
        async with connected(face) as client:
            brief = await client.ask("eth_subscribe", "newPendingTransactions")
            face.announcements.on_pool_events((executable, dropped))
            notice = (await client.hear())["params"]
            assert notice == {"subscription": brief, "result": "0x" + pooled.hex()}
            assert await client.ask("eth_unsubscribe", brief) is True
            await client.ask("eth_subscribe", "newPendingTransactions", True)
            face.announcements.on_pool_events((executable,))
            whole = await client.told()
            assert whole == core.ask("eth_getTransactionByHash", "0x" + pooled.hex())
            await client.ask("eth_subscribe", "droppedTransactions")
            face.announcements.on_pool_events((dropped,))
            assert await client.told() == {
                "hash": "0x" + HASH.hex(),
                "sender": "0x" + SENDER.hex(),
                "nonce": "0x7",
                "reason": "replaced",
            }

    played(face, scenario)


def test_who_lets_the_pools_events_pile_up_is_cut_and_not_skipped(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-89."""
    monkeypatch.setattr(subscriptions, "POOL_EVENTS_MAX", 3)
    face = make_face(core.view)

    async def scenario() -> None:
        async with connected(face) as client:
            await client.ask("eth_subscribe", "newPendingTransactions")
            face.announcements.on_pool_events(tuple(map(pending, range(3))))
            assert [await client.told() for _ in range(3)]
            face.announcements.on_pool_events(tuple(map(pending, range(4))))
            ending = await client.hear()
        assert (ending["code"], ending["reason"]) == (1013, "slow consumer")

    played(face, scenario)


def test_who_takes_nothing_is_cut_with_the_place_to_which_everything_was_told(core: Core) -> None:
    """N-89."""
    face = make_face(core.view, stall_seconds_max=0.1)

    async def scenario() -> None:
        async with connected(face) as client:
            await client.ask("eth_subscribe", "newHeads")
            core.send(Draft().signed_by(ALPHA.operating))
            announce(face)
            await client.told()
            core.send(Draft(nonce=1).signed_by(ALPHA.operating))
            client.is_reading.clear()
            announce(face)
            ending = await client.hear()
        assert ending["code"] == 1013
        assert len(ending["reason"].encode()) <= 123
        cursor = ending["reason"].rpartition(" ")[2]
        after = core.ask("corridor_getEvents", {"fromBlock": "0x2"})
        assert "events" in after
        assert core.ask("corridor_getEvents", cursor)["next"] == after["next"]

    played(face, scenario)


def test_a_fault_of_the_store_ends_the_connection_and_says_no_more_than_its_name(
    core: Core,
) -> None:
    """N-89."""

    class Broken(History):
        def log_page(self, query: LogPageQuery) -> LogPage:
            if query.logs_max > 1:
                raise StoreCorrupt("no header", b"secret")
            return super().log_page(query)

    face = make_face(replace(core.view, history=Broken(core.store)))

    async def scenario() -> None:
        async with connected(face) as client:
            await client.ask("eth_subscribe", "events", {"cursor": None})
            core.send(Draft().signed_by(ALPHA.operating))
            announce(face)
            ending = await client.hear()
        assert ending["code"] == 1011
        assert ending["reason"].startswith("internal error: StoreCorrupt")

    played(face, scenario)


def test_a_rare_event_is_found_far_on_in_steps(core: Core, tmp_path: Path) -> None:
    """N-82, N-89."""
    chain = LogChain(tmp_path / "logs")
    for _ in range(40):
        chain.add_block([[Log(SOMEBODY, (), b"") for _ in range(3)]])
    rare = Log(SENDER, (HASH,), b"rare")
    chain.add_block([[rare]])
    history = History(chain.store, page_examined_max=4)
    face = make_face(replace(core.view, history=history))

    async def scenario() -> None:
        async with connected(face) as client:
            wanted = {"cursor": None, "filter": {"topics": [["0x" + HASH.hex()]]}}
            await client.ask("eth_subscribe", "events", wanted)
            assert (await client.told())["log"]["data"] == "0x" + b"rare".hex()

    played(face, scenario)
    chain.store.close()


def test_a_connection_has_so_many_subscriptions_and_no_more(core: Core) -> None:
    """N-88."""
    face = make_face(core.view)

    async def scenario() -> None:
        async with connected(face) as client:
            opened = [
                await client.ask("eth_subscribe", "syncing") for _ in range(SUBSCRIPTIONS_MAX)
            ]
            assert len(set(opened)) == SUBSCRIPTIONS_MAX
            assert (await client.ask("eth_subscribe", "syncing"))["code"] == -32005
            assert await client.ask("eth_unsubscribe", opened[0]) is True
            assert isinstance(await client.ask("eth_subscribe", "syncing"), str)
        async with connected(face) as other:
            assert isinstance(await other.ask("eth_subscribe", "newHeads"), str)

    played(face, scenario)


@dataclass(frozen=True, slots=True)
class Answering:
    """A server that answers as a test says."""

    answer: Callable[[Dispatcher, bytes, Budget], Awaitable[bytes]]

    def calls_of(self, _: access.Client, dispatcher: Dispatcher) -> Dispatcher:
        return dispatcher

    async def answer_body(self, calls: Dispatcher, body: bytes, budget: Budget) -> bytes:
        return await self.answer(calls, body, budget)


def test_the_next_message_is_not_read_while_so_many_are_being_answered(core: Core) -> None:
    """N-88."""
    face = make_face(core.view)
    release, is_full = asyncio.Event(), asyncio.Event()
    budgets: list[Budget] = []

    async def wait(_: Dispatcher, body: bytes, budget: Budget) -> bytes:
        budgets.append(budget)
        if len(budgets) == CALLS_MAX:
            is_full.set()
        await release.wait()
        return body

    face.sockets.server = Answering(wait)

    async def scenario() -> None:
        async with connected(face) as client:
            for _ in range(CALLS_MAX + 2):
                client.say("eth_chainId")
            await is_full.wait()
            for _ in range(100):
                await asyncio.sleep(0)
            # One more was taken from the transport and waits for its turn.
            assert (len(budgets), client.incoming.qsize()) == (CALLS_MAX, 1)
            release.set()
            answers = [await client.hear() for _ in range(CALLS_MAX + 2)]
            assert [each["id"] for each in answers] == list(range(1, CALLS_MAX + 3))

    played(face, scenario)


def test_work_ends_with_the_connection_that_asked_for_it(core: Core) -> None:
    """N-88."""
    face = make_face(core.view)
    budgets: list[Budget] = []
    has_begun = asyncio.Event()

    async def wait(_: Dispatcher, __: bytes, budget: Budget) -> bytes:
        budgets.append(budget)
        has_begun.set()
        await asyncio.Event().wait()
        return b""

    face.sockets.server = Answering(wait)

    async def scenario() -> None:
        async with connected(face) as client:
            client.say("eth_call")
            await has_begun.wait()
        assert budgets[0].is_spent()
        # Its place among the messages of all connections is free again.
        assert not face.sockets.calls.locked()
        assert face.sockets.calls._value == websocket.CALLS_IN_ALL_MAX

    played(face, scenario)


@pytest.mark.parametrize(
    ("headers", "is_welcome"),
    [
        ({}, True),
        ({"host": "localhost:8545", "origin": "http://localhost:8545"}, True),
        ({"host": "localhost:8545", "origin": "http://localhost:3000"}, False),
        ({"host": "localhost:8545", "origin": "https://attacker.example"}, False),
        ({"host": "localhost:8545", "origin": "null"}, False),
        ({"host": "attacker.example:8545", "origin": "http://attacker.example:8545"}, False),
        ({"host": "127.0.0.1:8545"}, True),
    ],
)
def test_pages_of_other_origins_and_foreign_names_are_refused(
    core: Core, headers: dict[str, str], is_welcome: bool
) -> None:
    """N-88."""
    face = make_face(core.view)

    async def scenario() -> None:
        client = Client(**headers)
        client.leave()
        await face.sockets(client.scope, client.incoming.get, client.send)
        assert (await client.outgoing.get())["type"] == (
            "websocket.accept" if is_welcome else "websocket.close"
        )

    played(face, scenario)


def test_past_the_limit_a_connection_is_refused_until_one_goes(core: Core) -> None:
    """N-88."""
    face = make_face(core.view)
    face.sockets._sockets = SOCKETS_MAX - 1

    async def scenario() -> None:
        async with connected(face):
            refused = Client()
            await face.sockets(refused.scope, refused.incoming.get, refused.send)
            assert (await refused.outgoing.get())["type"] == "websocket.close"
        async with connected(face):
            pass

    played(face, scenario)


def test_news_before_anybody_connected_is_nobodys(core: Core) -> None:
    face = make_face(core.view)
    announce(face)
    face.close()


def test_an_outbox_takes_no_more_than_it_has_room_for_and_one_message_in_any_case() -> None:
    """N-88."""

    async def scenario() -> None:
        outbox = Outbox(messages_max=2, bytes_max=10)
        await outbox.put(Message("x" * 11))
        blocked = asyncio.create_task(outbox.put(Message("a")))
        await asyncio.sleep(0)
        assert not blocked.done()
        assert (await outbox.get()).text == "x" * 11
        await blocked
        await outbox.put(Message("b"))
        third = asyncio.create_task(outbox.put(Message("c")))
        await asyncio.sleep(0)
        assert not third.done()
        assert [(await outbox.get()).text for _ in range(3)] == ["a", "b", "c"]

    asyncio.run(scenario())


def test_a_slow_store_holds_up_nobody_elses_calls(core: Core) -> None:
    """N-88."""

    class Slow(History):
        def log_page(self, query: LogPageQuery) -> LogPage:
            if query.logs_max > 1:
                time.sleep(0.3)
            return super().log_page(query)

    face = make_face(replace(core.view, history=Slow(core.store)))

    async def scenario() -> None:
        async with connected(face) as reader, connected(face) as caller:
            await reader.ask("eth_subscribe", "events", {"cursor": None})
            core.send(Draft().signed_by(ALPHA.operating))
            announce(face)
            turns = 0
            answered = asyncio.create_task(caller.ask("eth_chainId"))
            while not answered.done():
                turns += 1
                await asyncio.sleep(0)
            assert turns > 1

    played(face, scenario)


def test_a_connection_shows_who_it_is_before_it_is_let_in(core: Core) -> None:
    """N-88, N-93."""
    digest = hashlib.sha256(b"secret").hexdigest()
    bank = ClientSettings(token_sha256=digest, allow=("eth_*",), deny=("eth_call",))
    face = make_face(core.view, settings=face_settings(clients={"bank": bank}))

    async def scenario() -> None:
        stranger = Client()
        await face.sockets(stranger.scope, stranger.incoming.get, stranger.send)
        assert (await stranger.outgoing.get())["type"] == "websocket.close"
        async with connected(face, authorization="Bearer secret") as client:
            assert await client.ask("eth_chainId")
            for method in ("eth_call", "web3_clientVersion", "corridor_subscribe"):
                assert (await client.ask(method))["code"] == FORBIDDEN

    played(face, scenario)

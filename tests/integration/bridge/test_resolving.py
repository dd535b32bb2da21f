"""The liquidity service on a real node: what waits settles after the next block, and nothing is lost."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eth_account import Account

from bridge.chain import ChainClient
from bridge.errors import NodeUnavailable
from bridge.store import TransactionState
from support.node_process import NodeProcess, make_genesis, running_node
from support.settlement_network import ALPHA, BETA, MAKER, OPERATOR, network_file
from support.waiting_street import (
    EXPIRED,
    QUEUED,
    SECONDS_MAX,
    SETTLED,
    WaitingStreet,
    utc_seconds,
)

GENESIS_TIME = 1_700_000_000
BYPASSABLE = 1


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    directory = tmp_path_factory.mktemp("node")
    genesis = make_genesis(directory, {**network_file(), "genesis_time": GENESIS_TIME})
    with running_node(genesis, directory / "data") as running:
        yield running


@pytest.fixture
def street(node: NodeProcess, tmp_path: Path) -> Iterator[WaitingStreet]:
    street = WaitingStreet(node, tmp_path)
    yield street
    street.close()


def test_a_gridlock_of_three_banks_settles_at_once_after_the_next_block(
    street: WaitingStreet,
) -> None:
    resolver = street.resolver()
    ring = street.pay(
        (ALPHA, BETA, street.terms(ALPHA, BETA, 900)),
        (BETA, MAKER, street.terms(BETA, MAKER, 900)),
        (MAKER, ALPHA, street.terms(MAKER, ALPHA, 900)),
    )
    assert street.states(ring) == [QUEUED] * 3
    number = street.client.head().number
    street.serve(resolver, lambda: street.states(ring) == [SETTLED] * 3)
    block = street.client.block(number + 1)
    assert block is not None
    settled = [event.name for event in block.events if event.name != "Transfer"]
    assert settled == ["PaymentSettled"] * 3 + ["RoundSettled"]
    assert street.idle(resolver, 1) == 0


def test_nothing_is_sent_while_nothing_can_settle(street: WaitingStreet) -> None:
    resolver = street.resolver()
    names = street.pay((ALPHA, BETA, street.terms(ALPHA, BETA, 500)))
    number = street.client.head().number
    assert street.idle(resolver, 2) == 0
    assert street.client.head().number == number
    street.fund({ALPHA: 500})
    street.serve(resolver, lambda: street.states(names) == [SETTLED])


def test_the_second_pass_settles_past_what_its_payer_lets_be_skipped(street: WaitingStreet) -> None:
    resolver = street.resolver()
    first, second = street.pay(
        (MAKER, BETA, street.terms(MAKER, BETA, 900, flags=BYPASSABLE)),
        (MAKER, BETA, street.terms(MAKER, BETA, 300)),
    )
    street.fund({MAKER: 300})
    street.serve(resolver, lambda: street.states([first, second]) == [QUEUED, SETTLED])
    street.fund({MAKER: 900})
    street.serve(resolver, lambda: street.states([first]) == [SETTLED])


def test_what_is_not_eligible_is_set_aside_then_counted_again_and_settled(
    street: WaitingStreet,
) -> None:
    resolver = street.resolver()
    street.fund({ALPHA: 700})
    later = utc_seconds() + 8
    (early,) = street.pay((ALPHA, BETA, street.terms(ALPHA, BETA, 200, not_before=later)))
    street.serve(resolver, lambda: street.payment(early)[-1] is True)
    (behind,) = street.pay((ALPHA, BETA, street.terms(ALPHA, BETA, 500)))
    assert street.states([early, behind]) == [QUEUED, SETTLED], "it held up who came after it"
    street.serve(resolver, lambda: street.states([early]) == [SETTLED])
    assert utc_seconds() >= later


def test_what_is_past_its_last_second_to_settle_is_expired(street: WaitingStreet) -> None:
    hasty = street.resolver(clock=lambda: utc_seconds() + 60)
    names = street.pay((ALPHA, BETA, street.terms(ALPHA, BETA, 10**9, settle_seconds=4)))
    assert street.states(names) == [QUEUED]
    street.serve(hasty, lambda: street.states(names) == [EXPIRED])


def test_a_service_that_died_before_it_sent_goes_on_with_the_same_bytes(
    street: WaitingStreet,
) -> None:
    class Silent(ChainClient):
        """A node that takes no transactions."""

        def send_raw(self, raw: bytes, *, sender: bytes, nonce: int) -> bytes:
            raise NodeUnavailable("eth_sendRawTransaction", f"{len(raw)} {nonce} {sender.hex()}")

    dying = street.resolver(client=Silent(street.node.url, street.client.chain_id))
    ring = street.pay(
        (ALPHA, BETA, street.terms(ALPHA, BETA, 10**8)),
        (BETA, ALPHA, street.terms(BETA, ALPHA, 10**8)),
    )
    dying.catch_up()
    with pytest.raises(NodeUnavailable):
        dying.turn()
    with dying.store.reading() as work:
        (kept,) = work.transactions.outstanding()
    reborn = street.resolver(clock=lambda: utc_seconds() + 5)
    street.serve(reborn, lambda: street.states(ring) == [SETTLED] * 2)
    reborn.catch_up()
    with reborn.store.reading() as work:
        final = work.transactions.get(kept.hash)
    assert final is not None
    assert final.state is TransactionState.SUCCEEDED


@contextmanager
def liquidity_process(settings: Path) -> Iterator[subprocess.Popen[str]]:
    """`bridge liquidity`, once it says that it resolves; killed in the end."""
    with (settings.parent / "liquidity.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "liquidity", "--settings", str(settings)],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "resolving\n"
            yield process
        finally:
            process.kill()


def test_the_process_is_killed_and_comes_back_and_what_waited_meanwhile_settles(
    street: WaitingStreet, tmp_path: Path
) -> None:
    (tmp_path / "passphrase").write_text("devnet")
    wallet = Account.from_key(OPERATOR.operating.secret)
    keystore = Account.encrypt(wallet.key, "devnet", kdf="pbkdf2", iterations=1_000)
    (tmp_path / "operating.json").write_text(json.dumps(keystore))
    settings = tmp_path / "settings.json"
    genesis = street.client.block(0)
    assert genesis is not None
    document = {
        "lei": OPERATOR.lei.decode(),
        "database": "process.db",
        "node_url": street.node.url,
        "chain_id": street.client.chain_id,
        "genesis_hash": f"0x{genesis.ref.hash.hex()}",
        "operating_keystore": "operating.json",
        "passphrase_file": "passphrase",
    }
    settings.write_text(json.dumps(document))

    def ring(amount: int) -> list[bytes]:
        return street.pay(
            (ALPHA, BETA, street.terms(ALPHA, BETA, amount)),
            (BETA, MAKER, street.terms(BETA, MAKER, amount)),
            (MAKER, ALPHA, street.terms(MAKER, ALPHA, amount)),
        )

    with liquidity_process(settings) as process:
        first = ring(10**7)
        street.await_that(lambda: street.states(first) == [SETTLED] * 3)
        process.send_signal(signal.SIGKILL)
    second = ring(10**7)
    assert street.states(second) == [QUEUED] * 3
    with liquidity_process(settings) as process:
        street.await_that(lambda: street.states(second) == [SETTLED] * 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0

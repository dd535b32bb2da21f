"""Four validators as their operators run them: agreement, quiet, time, crashes, membership and misbehaviour.

One network serves them all, test after test, and each leaves it whole; the last one makes a validator sign twice.
Cites docs/spec/node.md: N-30, N-131, N-132, N-136, N-138, N-139, N-145 to
N-153, N-158.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import rfc8785
from eth_abi.abi import decode

import contracts
from node.chain import CODE_INCLUDED
from node.consensus.application import encode_time_record
from node.consensus.cometbft.supervisor import ENGINE_FAILPOINT_VARIABLE
from node.failpoint import Failpoint
from node.membership import VALIDATOR_POWER
from node.signed_header import ValidatorSet
from support.chain_harness import Contract, decode_error
from support.core import open_core
from support.engine_binary import engine_binary
from support.full_run import IS_FULL
from support.node_process import ROOT, NodeProcess, NotStarted, RpcRefused, run_command
from support.settlement_network import ALPHA, MAKER, OPERATOR, Street, open_street, signed
from support.validator_network import FIRST, SECOND
from support.validator_processes import (
    FINAL_SECONDS_MAX,
    Sender,
    Validator,
    ValidatorNetwork,
    await_that,
    make_network,
    running_network,
    send,
)

pytestmark = pytest.mark.slow

QUIET_SECONDS: Final = 4
DEADLINE_SECONDS: Final = 10
IDLE_SECONDS: Final = 60 if IS_FULL else 10
"""How long the network idles past a deadline."""

DROP_SECONDS_MAX: Final = 10
"""In which a peer must be gone that the registry does not let connect any more."""

CRASH_POINTS: Final = (
    Failpoint.FINALIZED,
    Failpoint.STATE_BEFORE,
    Failpoint.STATE_WRITTEN,
    Failpoint.BLOCK_INSIDE,
    Failpoint.BLOCK_WRITTEN,
    Failpoint.COMMITTED,
)
ENGINE_CRASH_POINTS: Final = range(12) if IS_FULL else (2, 5, 8)
"""CometBFT counts its own failpoints from the start of its process: some ten in the making of a block."""

VERIFIER: Final = ROOT / "scripts/verify_certificate.py"
CALL_GAS: Final = 3_000_000


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValidatorNetwork]:
    engine_binary()
    with running_network(make_network(tmp_path_factory.mktemp("validators"), spare=True)) as made:
        yield made


@pytest.fixture(scope="module")
def street() -> Street:
    """The contracts' ABIs, and terms and quotes as of now."""
    found = open_street()
    found.chain.now = int(time.time())
    return found


@pytest.fixture(scope="module")
def node_registry(street: Street) -> Contract:
    return Contract(street.chain, contracts.NODE_REGISTRY_ADDRESS, "NodeRegistry")


@pytest.fixture(scope="module")
def alpha() -> Sender:
    return Sender(ALPHA.operating)


@pytest.fixture(scope="module")
def operator() -> Sender:
    return Sender(OPERATOR.operating)


def end_of(validator: Validator) -> int | None:
    """The exit code of a node that ends by itself, before it serves or soon after."""
    try:
        validator.start()
    except NotStarted as fault:
        return fault.exit_code
    return validator.running.process.wait(FINAL_SECONDS_MAX)


def heights(network: ValidatorNetwork) -> list[int]:
    return [each.status().height for each in network.validators]


def call_of(sender: Sender, to: bytes, data: bytes) -> dict[str, str]:
    return {
        "from": "0x" + sender.key.address.hex(),
        "to": "0x" + to.hex(),
        "data": "0x" + data.hex(),
    }


def test_what_is_sent_to_any_node_is_final_on_all_and_then_the_chain_goes_quiet(
    network: ValidatorNetwork, alpha: Sender
) -> None:
    """N-145, N-147, N-148, N-149."""
    for validator in network.validators:
        network.await_receipt(send(validator.running, alpha.next_raw()))
    network.check_agreement()
    heads, begun = [each.running.head() for each in network.validators], heights(network)
    time.sleep(QUIET_SECONDS)
    assert [each.running.head() for each in network.validators] == heads
    ended = heights(network)
    assert max(ended) - min(begun) <= 1, "no more than the block that proves the last one"
    time.sleep(1)
    assert heights(network) == ended


def test_after_an_idle_spell_the_first_block_has_the_time_that_it_is(
    network: ValidatorNetwork, alpha: Sender, street: Street
) -> None:
    """N-145: a payment that is overdue expires in it, an instruction on a quote that has lapsed is refused in it."""
    node, settlement = network.validators[1].running, street.settlement
    deadline = int(time.time()) + DEADLINE_SECONDS
    street.chain.now = deadline - DEADLINE_SECONDS
    terms = replace(street.plain_terms(), accept_by=deadline)
    instruct = settlement.encode("instruct", street.uetr_hash(), astuple(terms))
    quote = replace(street.quote(), valid_until=deadline)
    instruct_by_quote = settlement.encode(
        "instructWithQuotes",
        street.uetr_hash(),
        astuple(street.quoted_terms(quote)),
        [signed(quote, signer=MAKER.account("quoting").address)],
    )
    asked = call_of(alpha, settlement.address, instruct_by_quote)
    node.rpc("eth_call", asked, "pending")  # while it stands, the quote is good
    instructed = network.await_receipt(
        send(network.validators[0].running, alpha.next_raw(settlement.address, instruct, CALL_GAS))
    )
    payment_id = bytes.fromhex(instructed["logs"][0]["topics"][1][2:])
    time.sleep(deadline + IDLE_SECONDS - time.time())

    number, _ = node.head()
    expire = alpha.next_raw(
        settlement.address, settlement.encode("expire", payment_id, astuple(terms)), CALL_GAS
    )
    stale = alpha.next_raw(settlement.address, instruct_by_quote, CALL_GAS)
    # The second first, so that both can be executed at one time; and while no engine makes a block, so that one
    # which hears of the first from a peer does not begin before it has the second.
    with network.engines_stopped():
        for validator in network.validators:
            hashes = [send(validator.running, raw) for raw in (stale, expire)]
    refused, expired = (network.await_receipt(transaction_hash) for transaction_hash in hashes)
    assert (expired["status"], refused["status"]) == ("0x1", "0x0")
    assert int(expired["blockNumber"], 16) == int(refused["blockNumber"], 16) == number + 1
    block = node.rpc("eth_getBlockByNumber", hex(number + 1), False)
    assert int(block["timestamp"], 16) >= deadline + IDLE_SECONDS
    with pytest.raises(RpcRefused) as why:
        node.rpc("eth_call", asked, "latest")
    assert why.value.data is not None
    assert decode_error(bytes.fromhex(why.value.data[2:])).name == "SettlementQuoteExpired"


def test_a_core_killed_at_each_point_of_a_block_comes_back_with_the_same_chain(
    network: ValidatorNetwork, alpha: Sender
) -> None:
    """N-30, N-145, N-146, N-149."""
    *witnesses, victim = network.validators
    victim.stop()
    for failpoint in CRASH_POINTS:
        code = victim.die_at(
            failpoint,
            lambda: network.await_receipt(send(witnesses[0].running, alpha.next_raw()), witnesses),
        )
        assert code == -signal.SIGKILL, failpoint
    victim.start()
    network.await_receipt(send(victim.running, alpha.next_raw()))
    network.check_agreement()


def test_an_engine_that_dies_at_any_point_of_a_block_comes_back_with_the_same_chain(
    network: ValidatorNetwork, alpha: Sender
) -> None:
    """N-132, N-149, N-176."""
    *witnesses, victim = network.validators
    victim.stop()
    for point in ENGINE_CRASH_POINTS:
        known = len(victim.events("engine_failed"))
        victim.start({ENGINE_FAILPOINT_VARIABLE: str(point)})

        def has_died(known: int = known) -> bool:
            network.await_receipt(send(witnesses[0].running, alpha.next_raw()), witnesses)
            return len(victim.events("engine_failed")) > known

        await_that(f"the engine comes to its point {point}", has_died)
        assert f"*** fail-test {point} ***" in {
            each["text"] for each in victim.events("engine_wrote")
        }
        victim.running.kill()
    victim.start()
    network.await_receipt(send(victim.running, alpha.next_raw()))
    network.check_agreement()


def test_an_engine_that_is_killed_comes_back_by_itself(
    network: ValidatorNetwork, alpha: Sender
) -> None:
    """N-131, N-132, N-149."""
    victim = network.validators[2]
    killed = victim.engine_pid()
    victim.kill_engine()
    raw = alpha.next_raw()
    transaction_hash = send(victim.running, raw)
    network.await_receipt(transaction_hash)
    assert victim.engine_pid() != killed
    assert victim.running.process.poll() is None


def test_all_nodes_killed_at_once_lose_nothing_that_they_took(
    network: ValidatorNetwork, alpha: Sender
) -> None:
    """N-30, N-149."""
    hashes = [send(validator.running, alpha.next_raw()) for validator in network.validators * 2]
    for validator in network.validators:
        validator.kill()
    network.start()
    for transaction_hash in hashes:
        network.await_receipt(transaction_hash)
    network.check_agreement()


def keep(directory: Path, names: tuple[str, ...], place: Path) -> None:
    """Copies some of a directory's directories away."""
    for name in names:
        shutil.copytree(directory / name, place / name)


def put_back(directory: Path, names: tuple[str, ...], place: Path) -> None:
    for name in names:
        shutil.rmtree(directory / name)
        shutil.copytree(place / name, directory / name)


STORES: Final = ("state", "chain", "pool")
ENGINE_STORES: Final = ("blockstore.db", "state.db", "cs.wal", "evidence.db")


def test_an_application_behind_its_engine_replays_and_one_ahead_of_it_is_refused(
    network: ValidatorNetwork, alpha: Sender, tmp_path: Path
) -> None:
    """N-132, N-145."""
    *witnesses, victim = network.validators
    engine = victim.data / "engine" / "data"
    victim.stop()
    keep(victim.data, STORES, tmp_path / "old")
    keep(engine, ENGINE_STORES, tmp_path / "old")
    victim.start()
    for _ in range(3):
        network.await_receipt(send(witnesses[0].running, alpha.next_raw()))
    network.check_agreement()
    victim.stop()
    keep(engine, ENGINE_STORES, tmp_path / "new")

    put_back(engine, ENGINE_STORES, tmp_path / "old")
    code = end_of(victim)
    assert code
    assert any("height" in entry["reason"] for entry in victim.events("core_stopping"))
    put_back(engine, ENGINE_STORES, tmp_path / "new")

    put_back(victim.data, STORES, tmp_path / "old")
    victim.start()
    network.await_receipt(send(victim.running, alpha.next_raw()))
    network.check_agreement()


def test_a_node_connects_for_as_long_as_the_registry_lets_it(
    network: ValidatorNetwork, operator: Sender, node_registry: Contract
) -> None:
    """N-139, N-151: it begins at genesis, is dropped while connected, and let in again."""
    others = network.validators
    joined = network.join()
    node_id = joined.keys.node_id
    network.check_agreement()
    assert all(node_id in each.peers() for each in others)

    def order(function: str, *arguments: Any) -> None:
        data = node_registry.encode(function, *arguments)
        raw = operator.next_raw(node_registry.address, data, CALL_GAS)
        receipt = network.await_receipt(send(others[0].running, raw), others)
        assert receipt["status"] == "0x1"

    engines = [each.engine_pid() for each in others]
    order("revokeNode", node_id)
    await_that(
        "the revoked node is dropped by all",
        lambda: not any(node_id in each.peers() for each in others),
        DROP_SECONDS_MAX,
    )
    assert [each.engine_pid() for each in others] == engines, "no engine was started anew for it"
    order("admitNode", joined.house.lei, node_id)
    await_that("it is back", lambda: all(node_id in each.peers() for each in others))
    network.check_agreement()


def run_alone(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A script, with no package but Python's own to be found."""
    command = [sys.executable, "-I", "-S", str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def registry_validators(node: NodeProcess, node_registry: Contract) -> set[bytes]:
    """The public keys that validate by the registry's newest state."""
    asked = {
        "to": "0x" + node_registry.address.hex(),
        "data": "0x" + node_registry.encode("validators").hex(),
    }
    answer = bytes.fromhex(node.rpc("eth_call", asked, "latest")[2:])
    ((*found,),) = decode(["(address,bytes20,bytes)[]"], answer)
    return {public_key for _, _, public_key in found}


def engine_validators(validator: Validator) -> ValidatorSet:
    """Those of the engine's newest height."""
    with validator.engine() as client:
        return client.signed_header(client.status().height).validators


def test_validators_are_added_and_removed_while_the_network_runs(
    network: ValidatorNetwork, alpha: Sender, node_registry: Contract
) -> None:
    """N-136, N-138, N-153."""
    council = Sender(FIRST.account("officer")), Sender(SECOND.account("officer"))
    *_, leaving, joined = network.validators
    asked = network.validators[0].running

    def order(sender: Sender, function: str, *arguments: Any) -> None:
        data = node_registry.encode(function, *arguments)
        raw = sender.next_raw(node_registry.address, data, CALL_GAS)
        assert network.await_receipt(send(network.validators[1].running, raw))["status"] == "0x1"

    def count() -> int:
        answer = asked.rpc(
            "eth_call",
            call_of(alpha, node_registry.address, node_registry.encode("changeCount")),
            "latest",
        )
        return int(answer, 16)

    def change(function: str, *arguments: Any) -> None:
        order(council[0], function, *arguments, int(time.time()))
        order(council[1], "confirmChange", count())
        # It is applied by the next block, and holds two heights later.
        for _ in range(3):
            network.await_receipt(send(network.validators[0].running, alpha.next_raw()))

    def check(expected: set[bytes | None]) -> None:
        assert registry_validators(asked, node_registry) == expected
        for each in network.validators:
            found = engine_validators(each).members
            assert {one.public_key for one in found} == expected
            assert {one.power for one in found} == {VALIDATOR_POWER}
        network.check_agreement()

    keys = [each.keys.validator for each in network.validators]
    point = joined.point
    change("proposeAddition", joined.house.lei, point[:32], point[32:])
    check(set(keys))
    change("proposeRemoval", leaving.address)
    check({key for key in keys if key != leaving.keys.validator})


def test_a_payment_is_certified_to_whoever_knows_the_beginning_of_the_network(
    network: ValidatorNetwork, alpha: Sender, street: Street, tmp_path: Path
) -> None:
    """N-155, N-156, N-157, N-165, N-167: by every node, over all changes of validators since."""
    street.chain.now = int(time.time())
    terms = astuple(street.plain_terms())
    instruct = street.settlement.encode("instruct", street.uetr_hash(), terms)
    raw = alpha.next_raw(street.settlement.address, instruct, CALL_GAS)
    receipt = network.await_receipt(send(network.validators[0].running, raw))
    payment_id = receipt["logs"][0]["topics"][1]
    genesis = network.validators[0].directory.parent / "genesis.json"
    told = run_command("certificate", "anchor", "--genesis", str(genesis))
    anchor = told.stdout.split()
    assert told.returncode == 0, told.stderr

    def certificates() -> list[bytes]:
        asked = ("corridor_getSettlementCertificate", payment_id)
        return [rfc8785.dumps(each.running.rpc(*asked)) for each in network.validators]

    found: list[bytes] = []

    def are_kept() -> bool:
        with contextlib.suppress(RpcRefused):
            found[:] = certificates()
        return bool(found)

    await_that("every node has the header that certifies the block", are_kept)
    for text in found:
        file = tmp_path / "certificate.json"
        file.write_bytes(text)
        verified = run_alone(VERIFIER, file, *anchor)
        assert verified.returncode == 0, verified.stderr
        assert f"payment     {payment_id[2:]} instructed" in verified.stdout
        assert f" of {len(network.validators) - 1} validators" in verified.stdout
        same = run_command("certificate", "verify", str(file), *anchor)
        assert (same.returncode, same.stdout) == (0, verified.stdout)
        assert len(json.loads(text)["validator_changes"]) == 2, "one came, then one went"
    assert run_alone(VERIFIER, file, *anchor[:-1], "00" * 32).returncode == 1


def test_solo_makes_the_same_blocks_of_what_four_validators_decided(
    network: ValidatorNetwork, tmp_path: Path
) -> None:
    """N-145: transactions and times of every block so far, in an application of its own."""
    recorded = network.validators[0].blocks()
    solo = open_core(tmp_path / "solo", network.document)
    genesis, *decided = recorded
    assert solo.history.head().hash == genesis.header.hash
    for block in decided:
        codes = solo.finalize(encode_time_record(block.header.timestamp), *block.transactions)
        assert set(codes) == {CODE_INCLUDED}
        assert solo.history.head().hash == block.header.hash
    assert len(decided) > len(CRASH_POINTS)
    solo.store.close()


def test_a_validator_that_signs_twice_is_reported_and_the_chain_goes_on(
    network: ValidatorNetwork, alpha: Sender
) -> None:
    """N-158: one key on two nodes."""
    *_, twin, signer = network.validators
    twin.stop()
    home = twin.data / "engine"
    shutil.copy(
        signer.data / "engine/config/priv_validator_key.json",
        home / "config/priv_validator_key.json",
    )
    record = home / "data/priv_validator_state.json"
    record.write_text(json.dumps({"height": "0", "round": 0, "step": 0}))
    twin.start()

    def is_reported() -> bool:
        network.await_receipt(send(network.validators[0].running, alpha.next_raw()))
        return all(each.events("validator_misbehaved") for each in network.validators)

    await_that("every node reports it", is_reported)
    entry = network.validators[0].events("validator_misbehaved")[0]
    assert entry["kind"] == "duplicate_vote"
    assert entry["validator"].removeprefix("0x") == signer.address.hex()
    metrics = httpx.get(network.validators[0].running.url + "/metrics", timeout=10).text
    counted = re.search(
        r'^corridor_validator_misbehaviour_total\{kind="duplicate_vote",process="core"\} ([1-9])',
        metrics,
        re.MULTILINE,
    )
    assert counted is not None
    told = network.validators[1].running.rpc("corridor_getMisbehaviours")[-1]
    assert (told["kind"], told["validator"]) == (entry["kind"], "0x" + signer.address.hex())
    network.await_receipt(send(twin.running, alpha.next_raw()))
    network.check_agreement()

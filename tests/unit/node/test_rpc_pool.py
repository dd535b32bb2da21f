"""What an operator asks about transactions that are not final yet: is it allowed, where is it, what is pooled.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from eth_utils.address import to_checksum_address

from node.engine import SkipReason
from node.errors import InvariantBroken
from node.link import Server, Submitter, socket_path
from node.pool.pool import WAITING_SECONDS_MAX
from node.primitives import keccak
from node.rpc.budget import Budget
from node.rpc.faults import WireError
from node.rpc.methods import Methods
from node.rpc.methods import pool as pool_methods
from support.core import Core, open_core, suspension_of
from support.settlement_network import ALPHA, BETA, GENESIS_TIME, OPERATOR
from support.transactions import ALICE, SINK, Draft, Key

SENDER = ALPHA.operating
OTHER = BETA.operating


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    opened = open_core(tmp_path / "chain")
    yield opened
    opened.store.close()


def text_of(raw: bytes) -> str:
    return "0x" + raw.hex()


def ask(core: Core, method: str, *params: Any) -> Any:
    result = core.ask(method, *params)
    assert not isinstance(result, WireError), result
    return result


def explain(core: Core, raw: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = ask(core, "corridor_explainTransaction", text_of(keccak(raw)))
    assert answer["hash"] == text_of(keccak(raw))
    return answer


def allowed(core: Core, transaction: bytes | dict[str, Any], *reference: str) -> dict[str, Any]:
    asked = text_of(transaction) if isinstance(transaction, bytes) else transaction
    answer: dict[str, Any] = ask(core, "corridor_isTransactionAllowed", asked, *reference)
    return answer


def of(key: Key, **fields: Any) -> dict[str, Any]:
    return {"from": text_of(key.address), "to": text_of(SINK), **fields}


@pytest.mark.parametrize(
    ("transaction", "rule"),
    [
        (Draft().signed_by(SENDER), None),
        (Draft(nonce=50).signed_by(SENDER), None),
        (Draft().signed_by(ALICE), SkipReason.SENDER_NOT_PERMITTED),
        (Draft(to=None).signed_by(OPERATOR.operating), None),
        (Draft(to=None).signed_by(SENDER), SkipReason.SENDER_NOT_PERMITTED),
        (Draft(chain_id=1).signed_by(SENDER), SkipReason.WRONG_CHAIN_ID),
        (Draft(value=1).signed_by(SENDER), SkipReason.INSUFFICIENT_FUNDS),
        (Draft(gas_limit=20_000).signed_by(SENDER), SkipReason.GAS_BELOW_INTRINSIC),
        (b"junk", SkipReason.TYPE_UNSUPPORTED),
        (of(SENDER), None),
        (of(SENDER, nonce="0x0", gas="0x5208"), None),
        (of(ALICE), SkipReason.SENDER_NOT_PERMITTED),
        ({"from": text_of(SENDER.address)}, SkipReason.SENDER_NOT_PERMITTED),
        ({"from": text_of(OPERATOR.operating.address)}, None),
        (of(SENDER, value="0x1"), SkipReason.INSUFFICIENT_FUNDS),
        (of(SENDER, gasPrice="0x1"), SkipReason.INSUFFICIENT_FUNDS),
        (of(SENDER, gas="0x1"), SkipReason.GAS_BELOW_INTRINSIC),
        (of(SENDER, gas=hex(16_000_001)), SkipReason.GAS_LIMIT_TOO_HIGH),
        (
            {"from": text_of(OPERATOR.operating.address), "data": text_of(bytes(49_153))},
            SkipReason.INIT_CODE_TOO_LARGE,
        ),
        ({"from": "0x" + "00" * 18 + "c001", "to": text_of(SINK)}, SkipReason.SENDER_NOT_PERMITTED),
    ],
    ids=str,
)
def test_a_dry_run_of_admission_names_the_rule_that_refuses(
    core: Core, transaction: bytes | dict[str, Any], rule: SkipReason | None
) -> None:
    """N-77."""
    answer = allowed(core, transaction)
    assert answer["allowed"] is (rule is None)
    assert (answer["code"], answer["rule"]) == ((rule, rule.name) if rule else (0, None))
    assert (answer["reason"] is None) == (rule is None)
    if isinstance(transaction, bytes):
        assert core.application.check_tx(transaction) == answer["code"]


def test_admission_is_asked_of_the_state_after_any_block(core: Core) -> None:
    """N-77."""
    core.send(Draft().signed_by(SENDER))
    core.send(suspension_of(ALPHA))
    late = Draft(nonce=1).signed_by(SENDER)
    refused = SkipReason.SENDER_NOT_PERMITTED.name
    rules = [allowed(core, late, block)["rule"] for block in ("0x0", "0x1", "0x2", "latest")]
    assert rules == [None, None, refused, refused]
    block_hash = ask(core, "eth_getBlockByNumber", "0x1")["hash"]
    assert allowed(core, late, block_hash)["allowed"]
    assert allowed(core, Draft().signed_by(SENDER), "0x1")["rule"] == "NONCE_TOO_LOW"
    assert core.ask("corridor_isTransactionAllowed", text_of(late), "0x63").code == -32000


def test_a_scheduled_suspension_is_seen_at_its_second_without_a_block(core: Core) -> None:
    """N-11, N-77. Dry run, admission and execution ask the same code at the next block's time."""
    due = GENESIS_TIME + 100
    core.send(suspension_of(ALPHA, effective_at=due))
    transaction = Draft().signed_by(SENDER)
    refused = SkipReason.SENDER_NOT_PERMITTED
    for seconds, rule in ((due - 1, None), (due, refused), (due + 1, refused)):
        core.clock.seconds = seconds
        assert allowed(core, transaction)["code"] == (rule or 0)
        assert core.application.check_tx(transaction) == (rule or 0)
    core.clock.seconds = due - 1
    core.send(transaction)
    assert ask(core, "eth_blockNumber") == "0x2"


@pytest.mark.parametrize("transaction", [None, 5, [], {}, {"to": "0x"}, "0xzz", {"from": "0x1"}])
def test_a_transaction_that_cannot_be_read_is_an_invalid_parameter(
    core: Core, transaction: Any
) -> None:
    refused = core.ask("corridor_isTransactionAllowed", transaction)
    assert isinstance(refused, WireError)
    assert refused.code == -32602


def test_a_committed_transaction_is_explained_by_its_receipt(core: Core) -> None:
    """N-75."""
    raw = Draft().signed_by(SENDER)
    core.send(raw)
    answer = explain(core, raw)
    assert (answer["status"], answer["blockNumber"]) == ("committed", "0x1")
    assert answer["receipt"] == ask(core, "eth_getTransactionReceipt", text_of(keccak(raw)))
    assert "it succeeded" in answer["explanation"]
    failing = Draft(to=None, data=b"\xfe").signed_by(OPERATOR.operating)
    core.send(failing)
    assert "it failed" in explain(core, failing)["explanation"]


def test_an_executable_transaction_is_explained_by_what_is_ahead_of_it(core: Core) -> None:
    """N-75."""
    raws = [Draft(nonce=nonce).signed_by(SENDER) for nonce in range(3)]
    for raw in (Draft().signed_by(OTHER), *raws):
        core.submit(raw)
    answer = explain(core, raws[2])
    assert answer["status"] == "executable"
    assert (answer["ownTransactionsAhead"], answer["sendersAhead"]) == ("0x2", "0x1")
    assert (answer["blocksMax"], answer["refusal"]) == ("0x6", None)


def test_a_waiting_transaction_is_explained_by_the_nonces_it_waits_for(core: Core) -> None:
    """N-75."""
    raw = Draft(nonce=5).signed_by(SENDER)
    core.submit(raw)
    core.submit(Draft(nonce=3).signed_by(SENDER))
    answer = explain(core, raw)
    assert answer["status"] == "waiting"
    assert answer["missingNonces"] == ["0x0", "0x1", "0x2", "0x4"]
    assert "nonce 0, 1, 2, ... is missing" in answer["explanation"]
    assert answer["expiresAt"] == hex(GENESIS_TIME + WAITING_SECONDS_MAX)


def test_a_pooled_transaction_that_permission_would_refuse_says_so(core: Core) -> None:
    """N-75."""
    raws = [Draft(nonce=nonce).signed_by(SENDER) for nonce in (0, 4)]
    for raw in raws:
        core.submit(raw)
    core.finalize(suspension_of(ALPHA))
    for raw in raws:
        answer = explain(core, raw)
        assert answer["refusal"] == allowed(core, raw)
        assert answer["refusal"]["rule"] == "SENDER_NOT_PERMITTED"
        assert "the next block would refuse it" in answer["explanation"]
    core.make_block()
    answer = explain(core, raws[0])
    assert (answer["status"], answer["reason"]) == ("dropped", "REFUSED")
    assert "is not permitted" in answer["explanation"]
    assert explain(core, raws[1])["droppedBefore"] == answer["hash"]


def test_a_dropped_transaction_is_explained_by_what_took_its_place(core: Core) -> None:
    """N-75."""
    first, second = (Draft(nonce=1, data=data).signed_by(SENDER) for data in (b"", b"other"))
    core.submit(first)
    core.submit(second)
    answer = explain(core, first)
    assert (answer["status"], answer["reason"]) == ("dropped", "REPLACED")
    assert text_of(keccak(second)) in answer["explanation"]
    assert answer["droppedAt"] == hex(GENESIS_TIME)


def test_an_unknown_transaction_is_said_to_be_unknown(core: Core) -> None:
    assert explain(core, b"never sent")["status"] == "unknown"


def test_the_pools_content_has_the_shapes_that_tools_know(core: Core) -> None:
    """N-76."""
    raws = [Draft(nonce=nonce).signed_by(SENDER) for nonce in (0, 1, 3)]
    creation = Draft(to=None).signed_by(OPERATOR.operating)
    for raw in (*raws, creation):
        core.submit(raw)
    mine = to_checksum_address(SENDER.address)
    operators = to_checksum_address(OPERATOR.operating.address)
    whole = [ask(core, "eth_getTransactionByHash", text_of(keccak(raw))) for raw in raws]
    content = ask(core, "txpool_content")
    assert content["pending"][mine] == {"0": whole[0], "1": whole[1]}
    assert content["queued"] == {mine: {"3": whole[2]}}
    assert set(content["pending"]) == {mine, operators}
    assert ask(core, "txpool_contentFrom", text_of(SENDER.address)) == {
        "pending": {"0": whole[0], "1": whole[1]},
        "queued": {"3": whole[2]},
    }
    assert ask(core, "txpool_contentFrom", text_of(SINK)) == {"pending": {}, "queued": {}}
    inspected = ask(core, "txpool_inspect")
    line = f"{to_checksum_address(SINK)}: 0 wei + 100000 gas × 0 wei"
    assert inspected["queued"] == {mine: {"3": line}}
    assert inspected["pending"][operators] == {"0": "contract creation: 0 wei + 100000 gas × 0 wei"}


def test_more_content_than_one_answer_holds_is_refused_by_name(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N-76."""
    core.submit(Draft().signed_by(SENDER))
    core.submit(Draft().signed_by(OTHER))
    monkeypatch.setattr(pool_methods, "CONTENT_BYTES_MAX", len(Draft().signed_by(SENDER)) + 2)
    refused = core.ask("txpool_content")
    assert (refused.code, "txpool_contentFrom" in refused.message) == (-32005, True)
    assert ask(core, "txpool_contentFrom", text_of(SENDER.address))["pending"].keys() == {"0"}


def test_a_batch_of_submissions_is_answered_call_by_call(core: Core) -> None:
    """N-74."""
    good = [text_of(Draft(nonce=nonce).signed_by(SENDER)) for nonce in (0, 1)]
    calls: list[list[Any]] = [
        [good[0]],
        [7],
        [text_of(Draft().signed_by(ALICE))],
        [good[1]],
        [good[1]],
    ]
    answers = core.methods.dispatch_many("eth_sendRawTransaction", calls, Budget.of_seconds(60))
    codes = [each.code if isinstance(each, WireError) else 0 for each in answers]
    assert codes == [0, -32602, -32000, 0, -32000]
    assert answers[3] == text_of(keccak(bytes.fromhex(good[1][2:])))
    assert answers[4].message.startswith("already known")
    odd = core.methods.dispatch_many(
        "eth_sendRawTransaction", [[], [good[0]]], Budget.of_seconds(9)
    )
    assert [each.code for each in odd] == [-32602, -32000]
    assert (
        core.methods.dispatch_many("eth_chainId", [[], []], Budget.of_seconds(9))
        == [ask(core, "eth_chainId")] * 2
    )


def test_the_event_loop_submits_as_a_thread_would(tmp_path: Path, core: Core) -> None:
    """N-180."""
    good = [text_of(Draft(nonce=nonce).signed_by(SENDER)) for nonce in (0, 1)]
    raws: list[Any] = [
        *(good[0], 7, "0xzz", text_of(b"junk"), text_of(Draft(chain_id=1).signed_by(SENDER))),
        *(text_of(Draft().signed_by(ALICE)), good[1], good[1]),
    ]
    faults: list[InvariantBroken] = []
    place = socket_path(tmp_path)
    server = Server(place, core.intake, faults.append)
    server.start()

    async def submit() -> list[Any]:
        submitter = Submitter(place)
        methods = Methods(core.view, submitter)
        assert all(methods.is_prompt("eth_sendRawTransaction", [raw]) for raw in raws)
        answers = await asyncio.gather(
            *(methods.dispatch_promptly("eth_sendRawTransaction", [raw]) for raw in raws)
        )
        submitter.close()
        return answers

    answers = asyncio.run(submit())
    server.close()
    assert [each for each in answers if isinstance(each, str)] == [
        text_of(keccak(bytes.fromhex(raw[2:]))) for raw in good
    ]
    in_threads = core.methods.dispatch_many(
        "eth_sendRawTransaction", [[raw] for raw in raws[1:]], Budget.of_seconds(60)
    )
    assert answers[1:6] == in_threads[:5]
    assert answers[7] == in_threads[6]
    assert faults == []


def test_only_one_submission_in_order_takes_no_thread(tmp_path: Path, core: Core) -> None:
    """N-180."""
    assert not core.methods.is_prompt("eth_sendRawTransaction", ["0x"])
    server = Server(socket_path(tmp_path), core.intake, print)
    server.start()
    submitter = Submitter(socket_path(tmp_path))
    methods = Methods(core.view, submitter)
    assert methods.is_prompt("eth_sendRawTransaction", ["0x"])
    for method, params in (
        ("eth_sendRawTransaction", []),
        ("eth_sendRawTransaction", [None]),
        ("eth_sendRawTransaction", ["0x", "0x"]),
        ("eth_sendRawTransactionSync", ["0x"]),
        ("eth_chainId", []),
    ):
        assert not methods.is_prompt(method, list(params))
    submitter.close()
    server.close()


def test_a_submission_may_wait_for_its_receipt(core: Core) -> None:
    """N-78."""
    raw = Draft().signed_by(SENDER)
    block = Thread(target=core.make_block)
    block.start()
    receipt = ask(core, "eth_sendRawTransactionSync", text_of(raw))
    block.join()
    assert receipt == ask(core, "eth_getTransactionReceipt", text_of(keccak(raw)))
    waiting = Draft(nonce=2).signed_by(SENDER)
    for wait in (["0x1"], []):
        refused = core.ask("eth_sendRawTransactionSync", text_of(waiting), *wait, seconds=0)
        assert isinstance(refused, WireError)
        if wait:
            assert (refused.code, refused.data) == (4, text_of(keccak(waiting)))
        else:
            assert "already known" in refused.message
    assert explain(core, waiting)["status"] == "waiting"


@pytest.mark.parametrize(
    ("raws", "words"),
    [
        ([Draft(nonce=1)] * 2, "already known"),
        ([Draft(), Draft(data=b"other")], "replacement transaction underpriced"),
        ([Draft(nonce=64)], "nonce too high"),
    ],
)
def test_a_refusal_has_the_words_that_tools_look_for(
    core: Core, raws: list[Draft], words: str
) -> None:
    """N-13."""
    answers = [core.ask("eth_sendRawTransaction", text_of(raw.signed_by(SENDER))) for raw in raws]
    assert answers[-1].code == -32000
    assert words in answers[-1].message

"""The largest numbers, the fullest books and calldata that is none: refused in good order, or done exactly."""

import json
from dataclasses import astuple, replace
from random import Random
from typing import Any, Final

import pytest
from eth_abi.abi import encode

import contracts
from node.config import parse_network
from node.engine import PyEvmEngine
from node.genesis import generate
from node.primitives import Address, keccak
from node.store import MemoryState
from support.chain_harness import Chain, Reverted, refused, signature_of
from support.rounds import as_argument, propose
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    OPERATOR,
    SGD,
    ZERO_HASH,
    Leg,
    Street,
    Terms,
    network_file,
    quote_hash_of,
)
from support.waiting import (
    AMOUNT_MAX,
    FOR_LIMIT,
    QUEUED,
    SETTLED,
    pay,
    resolve,
    terms_of,
    waiting,
)

OPEN_PAYMENTS_MAX: Final = 10_000
OPEN_PAYMENTS_SLOT: Final = 3
"""Of the mapping, counted from where the contract's storage begins (docs/spec/storage.md)."""

UINT256_MAX: Final = 2**256 - 1


def test_amounts_end_at_2_to_127_less_1(street: Street) -> None:
    for amount in (0, AMOUNT_MAX + 1, 2**128, 2**255, UINT256_MAX):
        with refused("SettlementInvalidLeg", 0):
            street.instruct(terms_of(street, ALPHA, BETA, amount))
    assert street.instruct(terms_of(street, ALPHA, BETA, AMOUNT_MAX))


def test_eight_legs_of_the_largest_amount_wait_and_settle_against_each_other(
    street: Street,
) -> None:
    def eight(payer: bytes, payee: bytes) -> Terms:
        legs = tuple(Leg(EUR, payer, payee, AMOUNT_MAX) for _ in range(8))
        return replace(street.plain_terms(), legs=legs)

    there = eight(ALPHA.reference(), BETA.reference())
    back = eight(BETA.reference(), ALPHA.reference())
    terms_by_id = {pay(street, ALPHA, BETA, there): there, pay(street, BETA, ALPHA, back): back}
    assert waiting(street, ALPHA) == (1, 8 * AMOUNT_MAX)
    assert resolve(street, terms_by_id) == ["PaymentSettled"] * 2 + ["RoundSettled"]
    assert waiting(street, BETA) == (0, 0)


def test_a_balance_of_2_to_256_less_1_pays_in_rounds_and_at_once(street: Street) -> None:
    street.fund(EUR, {ALPHA: UINT256_MAX})
    terms = terms_of(street, ALPHA, BETA, AMOUNT_MAX)
    assert street.state(pay(street, ALPHA, BETA, terms))[0] == SETTLED
    street.settlement.transact(OPERATOR.operating, "pause")
    street.settlement.transact(OPERATOR.operating, "unpause")
    payment_id = street.instruct(terms)
    street.settlement.transact(OPERATOR.operating, "pause")
    street.accept(payment_id, terms)
    street.settlement.transact(OPERATOR.operating, "unpause")
    resolve(street, {payment_id: terms})
    assert street.balance(BETA, EUR) == 2 * AMOUNT_MAX
    assert street.balance(ALPHA, EUR) == UINT256_MAX - 2 * AMOUNT_MAX
    with refused("TokenReservesExceeded"):
        street.issue(EUR, BETA, UINT256_MAX, "more than all")


def test_limits_end_where_amounts_do(street: Street) -> None:
    street.fund(EUR, {ALPHA: 2**200})
    largest = AMOUNT_MAX - 1
    for net, gross in ((2**127, 0), (0, 2**127), (2**128 - 1, 2**128 - 1)):
        with refused("SettlementInvalidLimit", ALPHA.reference(), EUR):
            given = (ALPHA.reference(), EUR, net, gross)
            street.settlement.transact(ALPHA.operating, "setLimits", *given)
    given = (ALPHA.reference(), EUR, largest, largest)
    street.settlement.transact(ALPHA.operating, "setLimits", *given)
    towards = (ALPHA.reference(), EUR, BETA.lei, largest)
    street.settlement.transact(ALPHA.operating, "setBilateralLimit", *towards)
    terms = terms_of(street, ALPHA, BETA, AMOUNT_MAX)
    payment_id = street.instruct(terms)
    receipt = street.accept(payment_id, terms)
    assert receipt.event("PaymentQueued").arguments["reason"] == FOR_LIMIT
    with refused("SettlementNothingToSettle"):
        resolve(street, {payment_id: terms})
    street.settlement.transact(ALPHA.operating, "withdraw", payment_id, astuple(terms), ZERO_HASH)
    assert (
        street.state(pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, largest)))[0] == SETTLED
    )
    back = terms_of(street, BETA, ALPHA, largest)
    assert street.state(pay(street, BETA, ALPHA, back))[0] == SETTLED
    found = street.settlement.read("limitsOf", ALPHA.settlement.address, EUR)
    assert found == (largest, largest, 0, largest)
    assert street.state(pay(street, ALPHA, BETA, terms_of(street, ALPHA, BETA, 1)))[0] == QUEUED


def test_fills_end_at_2_to_128_less_1(street: Street) -> None:
    street.fund(EUR, {ALPHA: 2**200})
    street.fund(SGD, {MAKER: 2**200})
    widest = 2**128 - 1

    def fill(maker_amount: int, taker_amount: int, made: int, taken: int) -> bytes:
        quote = replace(street.quote(maker_amount, taker_amount), smallest_fill=0)
        whole = street.quoted_terms(quote)
        legs = (replace(whole.legs[0], amount=taken), replace(whole.legs[1], amount=made))
        terms = replace(whole, legs=legs)
        payment_id = street.instruct_with_quote(terms, quote)
        street.accept(payment_id, terms)
        assert street.state(payment_id)[0] == SETTLED
        return quote_hash_of(quote)

    for maker_amount, field in ((2**128, 5), (UINT256_MAX, 5), (0, 5)):
        with refused("SettlementQuoteMismatch", field):
            fill(maker_amount, 1, 1, 1)
    for taker_amount in (2**128, UINT256_MAX):
        with refused("SettlementQuoteMismatch", 7):
            fill(1, taker_amount, 1, 1)
    for made in (AMOUNT_MAX, AMOUNT_MAX, 1):
        quote_hash = fill(widest, widest, made, made)
    assert street.settlement.read("quoteUse", quote_hash) == (widest, False)
    with refused("SettlementQuoteUsed", quote_hash, 0):
        fill(widest, widest, 1, 1)
    assert fill(widest, 1, 1, 1)  # any part costs at least one


def test_times_end_at_2_to_40_less_1(street: Street) -> None:
    last = 2**40 - 1
    terms = replace(street.plain_terms(1), accept_by=last, settle_by=last, not_before=last)
    payment_id = pay(street, ALPHA, BETA, terms)
    assert street.state(payment_id)[0] == QUEUED
    with refused("SettlementNotExpired", payment_id, last):
        street.settlement.transact(BETA.operating, "expire", payment_id, astuple(terms))
    street.settlement.transact(ALPHA.operating, "withdraw", payment_id, astuple(terms), ZERO_HASH)
    assert waiting(street, ALPHA) == (0, 0)


# The fullest book.


def _nearly_full() -> Street:
    """Return a street on which Alpha's open payments are counted one short of the most."""
    namespace = keccak(b"corridor.storage.PaymentSettlement")
    base = int.from_bytes(keccak((int.from_bytes(namespace, "big") - 1).to_bytes(32, "big")), "big")
    mapping = (base & ~0xFF) + OPEN_PAYMENTS_SLOT
    slot = int.from_bytes(keccak(ALPHA.lei.ljust(32, b"\0") + mapping.to_bytes(32, "big")), "big")
    engine = PyEvmEngine(MemoryState())
    made = generate(parse_network(json.dumps(network_file()).encode()), engine)
    address = Address(contracts.SETTLEMENT_ADDRESS)
    account = made.alloc[address]
    full = replace(account, storage={**account.storage, slot: OPEN_PAYMENTS_MAX - 1})
    loaded = engine.load_genesis({**made.alloc, address: full})
    engine.commit(loaded.handle)
    return Street(Chain(engine, made.specification, loaded.state_root, made.header.timestamp))


def test_one_participant_has_at_most_ten_thousand_open_payments_and_fills_no_others_book() -> None:
    street = _nearly_full()
    assert street.settlement.read("openPaymentsOf", ALPHA.lei) == OPEN_PAYMENTS_MAX - 1
    terms = terms_of(street, ALPHA, BETA, 1)
    last = street.instruct(terms)
    with refused("SettlementTooManyOpen", ALPHA.lei, OPEN_PAYMENTS_MAX):
        street.instruct(terms)
    assert street.instruct(terms_of(street, BETA, ALPHA, 1), sender=BETA.operating)
    street.settlement.transact(BETA.operating, "reject", last, astuple(terms), ZERO_HASH)
    assert street.instruct(terms)


# Calldata that is none.


def _functions() -> list[dict[str, Any]]:
    abi = contracts.load("PaymentSettlement").abi
    return [
        each
        for each in abi
        if each["type"] == "function" and each["stateMutability"] not in {"view", "pure"}
    ]


@pytest.mark.parametrize("entry", _functions(), ids=lambda entry: str(entry["name"]))
def test_garbage_is_refused_by_every_function(street: Street, entry: dict[str, Any]) -> None:
    source = Random(entry["name"])
    selector = keccak(signature_of(entry).encode())[:4]
    words = [b"", bytes(31), bytes(512), b"\xff" * 512, source.randbytes(700)]
    words.append(b"".join((32 * n).to_bytes(32, "big") for n in range(40)))
    words.append(
        b"".join(source.choice((0, 32, 64, UINT256_MAX)).to_bytes(32, "big") for _ in range(60))
    )
    root = street.chain.root
    for word in words:
        with pytest.raises(Reverted):
            street.chain.send(
                BETA.operating, street.settlement.address, selector + word, gas_limit=3_000_000
            )
    assert street.chain.root == root


def test_unknown_functions_and_bare_calls_are_refused(street: Street) -> None:
    for calldata in (b"", b"\0", bytes(4), b"\xde\xad\xbe\xef", bytes(1000)):
        with pytest.raises(Reverted):
            street.chain.send(
                BETA.operating, street.settlement.address, calldata, gas_limit=1_000_000
            )


def test_right_calldata_cut_short_or_with_one_word_changed_moves_no_money_wrongly(
    street: Street,
) -> None:
    """What a changed word lets through is another right call: money moves whole, or not at all."""
    street.fund(EUR, {ALPHA: 100})
    first, second = terms_of(street, ALPHA, BETA, 101), terms_of(street, BETA, ALPHA, 101)
    terms_by_id = {pay(street, ALPHA, BETA, first): first, pay(street, BETA, ALPHA, second): second}
    third = terms_of(street, ALPHA, BETA, 7)
    other = street.instruct(third)
    proposal = as_argument(propose(street, terms_by_id))
    calls = {
        "resolve": street.settlement.encode("resolve", proposal),
        "accept": street.settlement.encode("accept", other, astuple(third), 0, 0),
    }
    source = Random(1)
    for name, whole in calls.items():
        for _ in range(40):
            word = 4 + 32 * source.randrange((len(whole) - 4) // 32)
            value = source.choice((0, 1, 2, 31, 33, 2**16, 2**127, 2**255, UINT256_MAX))
            changed = whole[:word] + value.to_bytes(32, "big") + whole[word + 32 :]
            cut = whole[: source.randrange(4, len(whole) - 31)]
            for data in (changed, cut):
                fork = street.fork()
                try:
                    fork.chain.send(
                        BETA.operating, fork.settlement.address, data, gas_limit=3_000_000
                    )
                except Reverted as fault:
                    if fault.name == "Panic":
                        raise
                held = [fork.balance(holder, EUR) for holder in (ALPHA, BETA)]
                assert held in ([100, 0], [93, 7]), name
                settled = [fork.state(key)[0] == SETTLED for key in terms_by_id]
                assert settled in ([True, True], [False, False])
                assert fork.tokens[EUR].read("balanceOf", fork.settlement.address) == 0


def test_an_initialiser_of_a_proxy_takes_no_second_turn(street: Street) -> None:
    entry = next(each for each in _functions() if each["name"] == "initialize")
    types = [each["type"] for each in entry["inputs"]]
    values: tuple[Any, ...] = (BETA.operating.address, BETA.operating.address, [], [])
    data = keccak(signature_of(entry).encode())[:4] + encode(types, values)
    for target in (contracts.SETTLEMENT_ADDRESS, contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS):
        with refused("InvalidInitialization"):
            street.chain.send(BETA.operating, target, data, gas_limit=1_000_000)

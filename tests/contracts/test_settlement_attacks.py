"""What an institution, a resolver or a stranger might try against settlement, and what it gets.

Each attack is made in earnest, with the keys that its maker would have, and leaves the others' money, queues and
payments as they were.
"""

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any, Final

import pytest

from node.primitives import keccak
from support.chain_harness import key_of, refused
from support.rounds import as_argument, propose, queue_of
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    ZERO_HASH,
    Street,
    Terms,
    attestation_data,
    sign,
)
from support.token_desk import FIRST, SECOND, WHOLE, authorization, ordered, permit
from support.waiting import (
    AMOUNT_MAX,
    CANCELLED,
    HIGH,
    HOLDERS,
    NO_LIQUIDITY,
    NOT_ELIGIBLE,
    QUEUED,
    SETTLED,
    URGENT,
    add_account,
    balances,
    pay,
    resolve,
    terms_of,
    waiting,
)

# Leaving one's own queue.


def test_nobody_leaves_its_own_queue_by_the_tokens_other_doors(hundreds: Street) -> None:
    pay(hundreds, ALPHA, BETA, terms_of(hundreds, ALPHA, BETA, 101))
    own, other = key_of("alpha/second"), BETA.settlement
    add_account(hundreds, ALPHA, "alpha/second", own.address, 1)
    token, holder = hundreds.tokens[EUR], ALPHA.settlement
    with refused("TokenQueueNotEmpty"):
        token.transact(holder, "transfer", own.address, 1)
    with refused("TokenSettlementAccountLocked"):
        token.transact(holder, "transfer", other.address, 1)
    token.transact(BETA.operating, "permit", *permit(token, holder, BETA.operating.address, 100))
    for payee, error in ((own, "TokenQueueNotEmpty"), (other, "TokenSettlementAccountLocked")):
        with refused(error):
            token.transact(BETA.operating, "transferFrom", holder.address, payee.address, 1)
    for payee, error in ((own, "TokenQueueNotEmpty"), (other, "TokenSettlementAccountLocked")):
        given = authorization(token, "TransferWithAuthorization", holder, (payee.address, 1))
        with refused(error):
            token.transact(BETA.operating, "transferWithAuthorization", *given)
    hold = (keccak(b"hold"), holder.address, other.address, BETA.operating.address, 1)
    with refused("TokenMoneyAwaited"):
        token.transact(ALPHA.operating, "createHold", *hold, hundreds.now + HOUR)
    with refused("TokenMoneyAwaited"):
        token.transact(ALPHA.operating, "redeem", keccak(b"out"), holder.address, 1)
    assert [hundreds.balance(ALPHA, EUR), waiting(hundreds, ALPHA)] == [100, (1, 101)]


# Standing in others' way.


def test_an_unhundreds_taker_never_holds_up_a_maker(hundreds: Street) -> None:
    for may_queue in (True, False):
        quote = replace(
            hundreds.quote(maker_amount=60, taker_amount=101),
            may_queue=may_queue,
            salt=keccak(bytes([may_queue])),
        )
        terms = hundreds.quoted_terms(quote)
        payment_id = hundreds.instruct_with_quote(terms, quote)
        hundreds.accept(payment_id, terms)
        assert hundreds.state(payment_id) == (CANCELLED, NO_LIQUIDITY)
    assert waiting(hundreds, MAKER, SGD) == (0, 0)
    quote = hundreds.quote(maker_amount=100, taker_amount=100)
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    hundreds.accept(payment_id, terms)
    assert hundreds.state(payment_id)[0] == SETTLED


def test_a_counterparty_that_cannot_settle_holds_nobody_up_for_long(hundreds: Street) -> None:
    """What waits for a frozen beneficiary is set aside by anybody; what it was for does not matter."""
    token = hundreds.tokens[EUR]
    token.transact(FIRST, "freeze", BETA.settlement.address, 0, WHOLE, keccak(b"freeze"))
    stuck = terms_of(hundreds, ALPHA, BETA, 50)
    payment_id = pay(hundreds, ALPHA, BETA, stuck)
    behind = terms_of(hundreds, ALPHA, MAKER, 60)
    other = pay(hundreds, ALPHA, MAKER, behind)
    assert hundreds.state(other)[0] == QUEUED
    assert "PaymentSettled" in resolve(hundreds, {payment_id: stuck, other: behind})
    hundreds.settlement.transact(OPERATOR.operating, "reassess", payment_id, astuple(stuck))
    assert (
        hundreds.state(pay(hundreds, ALPHA, MAKER, terms_of(hundreds, ALPHA, MAKER, 40)))[0]
        == SETTLED
    )


def test_nobody_squats_the_id_of_a_payment_of_another(hundreds: Street) -> None:
    uetr_hash = keccak(b"seen in the mempool")
    squatting = terms_of(hundreds, BETA, ALPHA, 1)
    squatter = hundreds.instruct(squatting, uetr_hash=uetr_hash, sender=BETA.operating)
    terms = terms_of(hundreds, ALPHA, BETA, 10)
    payment_id = hundreds.instruct(terms, uetr_hash=uetr_hash)
    assert payment_id != squatter
    hundreds.accept(payment_id, terms)
    assert hundreds.state(payment_id)[0] == SETTLED
    for n in (1, 2**256 - 1):
        with refused("SettlementUnexpectedState"):
            given = (uetr_hash, n, astuple(squatting), astuple(terms_of(hundreds, ALPHA, BETA, 1)))
            hundreds.settlement.transact(ALPHA.operating, "instructReturn", *given)
    given = (uetr_hash, 1, astuple(terms), astuple(terms_of(hundreds, BETA, ALPHA, 10)))
    receipt = hundreds.settlement.transact(BETA.operating, "instructReturn", *given)
    assert receipt.names[0] == "ReturnInstructed"


def test_a_long_queue_costs_those_behind_it_nothing(hundreds: Street) -> None:
    def spent(function: str, payment_id: bytes, terms: Terms, *given: Any) -> int:
        receipt = hundreds.settlement.transact(
            ALPHA.operating, function, payment_id, astuple(terms), *given
        )
        return receipt.gas_used

    terms = terms_of(hundreds, ALPHA, BETA, 101)
    ids = [pay(hundreds, ALPHA, BETA, terms) for _ in range(4)]
    few = [
        spent("prioritise", ids[1], terms, HIGH),
        spent("withdraw", ids[2], terms, ZERO_HASH),
    ]
    ids += [pay(hundreds, ALPHA, BETA, terms) for _ in range(40)]
    many = [
        spent("prioritise", ids[20], terms, HIGH),
        spent("withdraw", ids[30], terms, ZERO_HASH),
    ]
    for before, after in zip(few, many, strict=True):
        assert after <= before + 25_000  # a slot or two that were empty
    urgent = terms_of(hundreds, ALPHA, BETA, 100, priority=URGENT)
    assert hundreds.state(pay(hundreds, ALPHA, BETA, urgent))[0] == SETTLED
    assert (
        hundreds.state(
            pay(hundreds, MAKER, BETA, terms_of(hundreds, MAKER, BETA, 9, currency=SGD))
        )[0]
        == SETTLED
    )


# Spoiling a round.


def _withdraws(street: Street, payment_id: bytes, terms: Terms) -> None:
    street.settlement.transact(ALPHA.operating, "withdraw", payment_id, astuple(terms), ZERO_HASH)


def _prioritises(street: Street, payment_id: bytes, terms: Terms) -> None:
    street.settlement.transact(ALPHA.operating, "prioritise", payment_id, astuple(terms), URGENT)


def _freezes(street: Street, payment_id: bytes, terms: Terms) -> None:
    del payment_id, terms
    token = street.tokens[EUR]
    token.transact(FIRST, "freeze", ALPHA.settlement.address, 0, WHOLE, keccak(b"freeze"))


def _limits(street: Street, payment_id: bytes, terms: Terms) -> None:
    del payment_id, terms
    street.settlement.transact(ALPHA.operating, "setLimits", ALPHA.reference(), EUR, 0, 0)


def _suspends(street: Street, payment_id: bytes, terms: Terms) -> None:
    del payment_id, terms
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)


@pytest.mark.parametrize("spoil", [_withdraws, _prioritises, _freezes, _limits, _suspends])
def test_a_spoiled_round_loses_nothing_and_the_rest_settles_next(
    hundreds: Street, spoil: Callable[[Street, bytes, Terms], None]
) -> None:
    ring = [(ALPHA, BETA), (BETA, MAKER), (MAKER, ALPHA)]
    apart = [(BETA, MAKER), (MAKER, BETA)]
    waits = [terms_of(hundreds, payer, payee, 200) for payer, payee in ring]
    waits += [terms_of(hundreds, payer, payee, 200, currency=SGD) for payer, payee in apart]
    parties = ring + apart
    terms_by_id = {
        pay(hundreds, payer, payee, terms): terms
        for (payer, payee), terms in zip(parties, waits, strict=True)
    }
    ids = list(terms_by_id)
    more = terms_of(hundreds, ALPHA, BETA, 900)
    terms_by_id[pay(hundreds, ALPHA, BETA, more)] = more
    before, proposal = balances(hundreds), as_argument(propose(hundreds, terms_by_id))
    spoil(hundreds, ids[0], waits[0])
    if spoil is _withdraws:
        with refused("SettlementUnexpectedState", ids[0], CANCELLED):
            hundreds.settlement.transact(OPERATOR.operating, "resolve", proposal)
    else:
        hundreds.settlement.transact(OPERATOR.operating, "resolve", proposal)
    left = {key: terms for key, terms in terms_by_id.items() if hundreds.state(key)[0] == QUEUED}
    if any(key in left for key in ids[3:]):
        resolve(hundreds, left)
    assert [hundreds.state(key)[0] for key in ids[3:]] == [SETTLED] * 2
    assert balances(hundreds) == before
    hundreds.pass_time(2 * HOUR + 1)
    for payment_id, terms in terms_by_id.items():
        if hundreds.state(payment_id)[0] == QUEUED:
            hundreds.settlement.transact(BETA.operating, "expire", payment_id, astuple(terms))
    assert [queue_of(hundreds, holder.reference(), EUR) for holder in HOLDERS] == [[]] * 3


def test_a_resolver_makes_nobody_pay_for_another_nor_twice(hundreds: Street) -> None:
    """Beta has nothing: its payment stands in its queue, and a lie has it stand in Alpha's."""
    owed, own = terms_of(hundreds, BETA, MAKER, 50), terms_of(hundreds, ALPHA, MAKER, 101)
    terms_by_id = {pay(hundreds, BETA, MAKER, owed): owed, pay(hundreds, ALPHA, MAKER, own): own}
    honest = propose(hundreds, terms_by_id)
    by_account = {walk.account: place for place, walk in enumerate(honest.walks)}
    rich, poor = by_account[ALPHA.reference()], by_account[BETA.reference()]
    payee = by_account[MAKER.reference()]
    lying = replace(honest.items[0], accounts=(rich, payee))
    walks = list(honest.walks)
    walks[rich] = replace(walks[rich], items=(0,))
    walks[poor] = replace(walks[poor], items=())
    with refused("SettlementInvalidItem", 0):
        given = as_argument(replace(honest, items=(lying, honest.items[1]), walks=tuple(walks)))
        hundreds.settlement.transact(OPERATOR.operating, "resolve", given)
    with refused("SettlementOrderBroken", rich, 0):
        given = as_argument(replace(honest, walks=tuple(walks)))
        hundreds.settlement.transact(OPERATOR.operating, "resolve", given)
    hundreds.pass_time(1)
    hundreds.fund(EUR, {BETA: 100})
    twice = replace(honest, items=(*honest.items, honest.items[0]))
    for items in ((0, 2), (0, 0)):
        walks[poor], walks[rich] = replace(walks[poor], items=items), honest.walks[rich]
        with refused("SettlementOrderBroken"):
            given = as_argument(replace(twice, walks=tuple(walks)))
            hundreds.settlement.transact(OPERATOR.operating, "resolve", given)
    hundreds.settlement.transact(OPERATOR.operating, "resolve", as_argument(twice))
    assert hundreds.balance(BETA, EUR) == 50


# Statements, returns and what events tell.


def test_a_statement_of_reserves_is_not_replayed_over_a_redemption(street: Street) -> None:
    token, statement = street.tokens[EUR], street.attestation(EUR, 100)
    street.attest(EUR, statement)
    street.issue(EUR, ALPHA, 100, "one")
    token.transact(ALPHA.operating, "redeem", keccak(b"out"), ALPHA.settlement.address, 100)
    with refused("TokenAttestationSequence"):
        street.attest(EUR, statement)
    with refused("TokenReservesExceeded"):
        street.issue(EUR, ALPHA, 1, "two")
    later = replace(statement, sequence=2)
    signature = sign(EUROSYSTEM.account("attesting"), attestation_data(token.address, statement))
    with refused("TokenAttesterUnknown"):
        token.transact(EUROSYSTEM.operating, "attest", astuple(later), signature)
    street.attest(EUR, later)
    street.pass_time(HOUR + 1)
    with refused("TokenAttestationExpired"):
        street.issue(EUR, ALPHA, 1, "three")


def test_returns_made_at_once_never_exceed_the_original(hundreds: Street) -> None:
    terms, uetr_hash = terms_of(hundreds, ALPHA, BETA, 80), keccak(b"original")
    hundreds.accept(hundreds.instruct(terms, uetr_hash=uetr_hash), terms)
    hundreds.pass_time(1)
    hundreds.fund(EUR, {BETA: 500})

    def give_back(n: int, amount: int) -> bytes:
        back = terms_of(hundreds, BETA, ALPHA, amount)
        given = (uetr_hash, n, astuple(terms), astuple(back))
        receipt = hundreds.settlement.transact(BETA.operating, "instructReturn", *given)
        payment_id: bytes = receipt.event("Instructed").arguments["paymentId"]
        return payment_id

    for amount in (81, AMOUNT_MAX):
        with refused("SettlementReturnExceeded"):
            give_back(1, amount)
    first, second = give_back(1, 40), give_back(2, 40)
    with refused("SettlementReturnExceeded"):
        give_back(3, 1)
    back = terms_of(hundreds, BETA, ALPHA, 40)
    reject = ("reject", first, astuple(back), ZERO_HASH)
    hundreds.settlement.transact(ALPHA.operating, *reject)
    with refused("SettlementUnexpectedState"):
        hundreds.settlement.transact(ALPHA.operating, *reject)
    with refused("SettlementReturnExceeded"):
        give_back(3, 41)
    third = give_back(3, 40)
    for payment_id in (second, third):
        hundreds.accept(payment_id, back, sender=ALPHA.operating)
    with refused("SettlementReturnExceeded"):
        give_back(4, 1)
    assert [hundreds.balance(ALPHA, EUR), hundreds.balance(BETA, EUR)] == [100, 500]


def _closes(street: Street) -> None:
    given = ((0, 1, 127, 0),)
    ordered(street.tokens[EUR], "setOpeningHours", *given)


CAUSES: Final[dict[str, Callable[[Street], object]]] = {
    "the payer is frozen": lambda street: street.tokens[EUR].transact(
        FIRST, "freeze", ALPHA.settlement.address, 0, WHOLE, keccak(b"freeze")
    ),
    "the payee is frozen": lambda street: street.tokens[EUR].transact(
        SECOND, "freeze", BETA.settlement.address, 0, WHOLE, keccak(b"freeze")
    ),
    "the payer is suspended": lambda street: street.registry.transact(
        OPERATOR.operating, "suspend", ALPHA.lei
    ),
    "the currency is paused": lambda street: street.tokens[EUR].transact(FIRST, "pause", 3),
    "all is paused": lambda street: street.settlement.transact(OPERATOR.operating, "pause"),
    "it is closed": _closes,
}


def test_no_event_tells_why_a_payment_may_not_settle(hundreds: Street) -> None:
    terms = terms_of(hundreds, ALPHA, BETA, 10)
    payment_id = hundreds.instruct(terms)
    told = {}
    for name, cause in CAUSES.items():
        other = hundreds.fork()
        cause(other)
        told[name] = other.accept(payment_id, terms).events
    assert len(set(map(repr, told.values()))) == 1, told
    accepted, queued = told["it is closed"]
    assert (accepted.name, queued.name) == ("Accepted", "PaymentQueued")
    assert queued.arguments == {"paymentId": payment_id, "reason": NOT_ELIGIBLE}


def test_a_quote_that_may_not_wait_ends_in_the_same_words_as_for_want_of_money(
    hundreds: Street,
) -> None:
    quote = hundreds.quote(maker_amount=150, taker_amount=60)
    terms = hundreds.quoted_terms(quote)
    payment_id = hundreds.instruct_with_quote(terms, quote)
    told = [hundreds.fork().accept(payment_id, terms).events]
    for cause in CAUSES.values():
        other = hundreds.fork()
        cause(other)
        told.append(other.accept(payment_id, terms).events)
    assert len(set(map(repr, told))) == 1
    assert told[0][-1].arguments["outcome"] == NO_LIQUIDITY

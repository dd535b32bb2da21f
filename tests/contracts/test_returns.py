"""Returns of settled payments, as docs/spec/settlement.md requires them (RET)."""

from dataclasses import astuple, replace

from node.primitives import keccak
from support.chain_harness import refused
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    SGD,
    ZERO_HASH,
    Institution,
    Street,
    Terms,
)
from support.waiting import (
    SETTLED,
    terms_of,
)


def settled_payment(street: Street, amount: int = 80) -> tuple[bytes, Terms]:
    terms = terms_of(street, ALPHA, BETA, amount)
    uetr_hash = keccak(b"original")
    payment_id = street.instruct(terms, uetr_hash=uetr_hash)
    street.accept(payment_id, terms)
    return uetr_hash, terms


def give_back(
    street: Street,
    original: tuple[bytes, Terms],
    terms: Terms,
    *,
    n: int = 1,
    sender: Institution = BETA,
) -> bytes:
    uetr_hash, paid = original
    receipt = street.settlement.transact(
        sender.operating, "instructReturn", uetr_hash, n, astuple(paid), astuple(terms)
    )
    assert receipt.names[0] == "ReturnInstructed"
    payment_id: bytes = receipt.event("Instructed").arguments["paymentId"]
    return payment_id


def test_ret_1_returns_are_linked_and_never_exceed_what_was_received(hundreds: Street) -> None:
    original = settled_payment(hundreds)
    original_id = hundreds.settlement.read("paymentIdOf", 0, ALPHA.lei, original[0], 0)
    first = terms_of(hundreds, BETA, ALPHA, 50)
    returned = give_back(hundreds, original, first)
    assert returned == hundreds.settlement.read("paymentIdOf", 1, BETA.lei, original[0], 1)
    assert hundreds.settlement.read("returnedOf", original_id, BETA.lei, EUR) == 50
    with refused("SettlementReturnExceeded", original_id, EUR, 30):
        give_back(hundreds, original, terms_of(hundreds, BETA, ALPHA, 31), n=2)
    with refused("SettlementPaymentExists", returned):
        give_back(hundreds, original, terms_of(hundreds, BETA, ALPHA, 1), n=1)
    hundreds.accept(returned, first, sender=ALPHA.operating)
    assert hundreds.state(returned)[0] == SETTLED
    rest = terms_of(hundreds, BETA, ALPHA, 30)
    hundreds.accept(give_back(hundreds, original, rest, n=2), rest, sender=ALPHA.operating)
    assert hundreds.balance(ALPHA, EUR) == 100
    with refused("SettlementReturnExceeded", original_id, EUR, 0):
        give_back(hundreds, original, terms_of(hundreds, BETA, ALPHA, 1), n=3)


def test_ret_1_a_return_that_fails_may_be_made_again(hundreds: Street) -> None:
    original = settled_payment(hundreds)
    terms = terms_of(hundreds, BETA, ALPHA, 80)
    returned = give_back(hundreds, original, terms)
    hundreds.settlement.transact(ALPHA.operating, "reject", returned, astuple(terms), ZERO_HASH)
    give_back(hundreds, original, terms, n=2)


def test_ret_1_only_who_was_paid_returns_and_only_to_who_paid(hundreds: Street) -> None:
    original = settled_payment(hundreds)
    hundreds.fund(EUR, {MAKER: 100})
    with refused("SettlementReturnExceeded"):
        give_back(hundreds, original, terms_of(hundreds, MAKER, ALPHA, 1), sender=MAKER)
    for payer, payee in ((BETA, MAKER), (ALPHA, BETA)):
        with refused("SettlementInvalidReturn", 3):
            give_back(hundreds, original, terms_of(hundreds, payer, payee, 1), sender=payer)
    with refused("SettlementReturnExceeded"):
        give_back(hundreds, original, terms_of(hundreds, BETA, ALPHA, 1, currency=SGD))
    with refused("SettlementInvalidReturn", 1):
        give_back(hundreds, original, terms_of(hundreds, BETA, ALPHA, 1), n=0)
    other = (original[0], replace(original[1], priority=1))
    with refused("SettlementTermsMismatch"):
        give_back(hundreds, other, terms_of(hundreds, BETA, ALPHA, 1))
    with refused("SettlementUnexpectedState"):
        give_back(hundreds, (keccak(b"unknown"), original[1]), terms_of(hundreds, BETA, ALPHA, 1))

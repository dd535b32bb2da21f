"""CurrencyToken by the letter of ERC-2612, ERC-3009, ERC-7943 and ERC-165: a test for each MUST (TOK-9 to TOK-12).

ERC-20's own rules on transfers and allowances stand in test_currency_token.py. The accounts here are operating ones:
they are what the public functions are for.
"""

from dataclasses import replace

import pytest

import contracts
from node.primitives import keccak
from support.chain_harness import Contract, Reverted, key_of, refused
from support.settlement_network import ALPHA, BETA, EUR, HOUR, MAKER, OPERATOR, Street
from support.token_desk import (
    FIRST,
    SECOND,
    WHOLE,
    ZERO,
    Signing,
    authorization,
    cancellation,
    freeze,
    ordered,
    permit,
    propose,
    text,
)
from support.transactions import CHAIN_ID

OWNER, SPENDER, PAYEE = ALPHA.operating, BETA.operating, MAKER.operating
NONCE = keccak(b"nonce")
STRANGER = key_of("stranger")


@pytest.fixture
def euro(street: Street) -> Contract:
    """Alpha's operating account holds 500 cents."""
    street.fund(EUR, {ALPHA: 1_000, BETA: 1_000})
    token = street.tokens[EUR]
    token.transact(ALPHA.settlement, "transfer", OWNER.address, 500)
    return token


def balance(token: Contract, account: bytes) -> int:
    found: int = token.read("balanceOf", account)
    return found


# ERC-2612 (TOK-9).


def test_tok_9_a_permit_sets_the_allowance_counts_the_nonce_and_says_so(euro: Contract) -> None:
    receipt = euro.transact(STRANGER, "permit", *permit(euro, OWNER, SPENDER.address, 70))
    assert receipt.event("Approval").arguments == {
        "owner": text(OWNER.address),
        "spender": text(SPENDER.address),
        "value": 70,
    }
    assert euro.read("allowance", OWNER.address, SPENDER.address) == 70
    assert euro.read("nonces", OWNER.address) == 1
    euro.transact(SPENDER, "transferFrom", OWNER.address, PAYEE.address, 70)
    assert balance(euro, PAYEE.address) == 70


def test_tok_9_a_permit_is_good_until_its_deadline_and_no_longer(euro: Contract) -> None:
    late = permit(euro, OWNER, SPENDER.address, 1, Signing(deadline=euro.chain.now - 1))
    with refused("ERC2612ExpiredSignature", euro.chain.now - 1):
        euro.transact(SPENDER, "permit", *late)
    euro.transact(SPENDER, "permit", *permit(euro, OWNER, SPENDER.address, 1))


def test_tok_9_a_permit_is_used_once(euro: Contract) -> None:
    once = permit(euro, OWNER, SPENDER.address, 1)
    euro.transact(SPENDER, "permit", *once)
    with refused("ERC2612InvalidSigner"):
        euro.transact(SPENDER, "permit", *once)


def test_tok_9_a_permit_of_the_zero_address_is_refused(euro: Contract) -> None:
    _, *others = permit(euro, OWNER, SPENDER.address, 1)
    with refused("ERC2612InvalidSigner"):
        euro.transact(SPENDER, "permit", ZERO, *others)


def test_tok_9_a_permit_signed_by_another_is_refused(euro: Contract) -> None:
    _, *others = permit(euro, SPENDER, SPENDER.address, 1)
    with refused("ERC2612InvalidSigner"):
        euro.transact(SPENDER, "permit", OWNER.address, *others)


def test_tok_9_the_domain_separator_is_that_of_eip_712(euro: Contract) -> None:
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    parts = [keccak(word.encode()) for word in (kind, "Corridor CurrencyToken", "1")]
    words = [*parts, CHAIN_ID.to_bytes(32, "big"), euro.address.rjust(32, b"\0")]
    assert euro.read("DOMAIN_SEPARATOR") == keccak(b"".join(words))


# ERC-3009 (TOK-10).


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("transferWithAuthorization", "TransferWithAuthorization"),
        ("receiveWithAuthorization", "ReceiveWithAuthorization"),
    ],
)
def test_tok_10_an_authorisation_moves_the_money_once(
    euro: Contract, function: str, kind: str
) -> None:
    signed = authorization(euro, kind, OWNER, (PAYEE.address, 70))
    assert euro.read("authorizationState", OWNER.address, NONCE) is False
    receipt = euro.transact(PAYEE, function, *signed)
    assert receipt.names == ["AuthorizationUsed", "Transfer"]
    assert receipt.event("AuthorizationUsed").arguments == {
        "authorizer": text(OWNER.address),
        "nonce": NONCE,
    }
    assert euro.read("authorizationState", OWNER.address, NONCE) is True
    assert balance(euro, PAYEE.address) == 70
    with refused("ERC3009UsedAuthorization", text(OWNER.address), NONCE):
        euro.transact(PAYEE, function, *signed)


def test_tok_10_only_the_payee_calls_receive(euro: Contract) -> None:
    signed = authorization(euro, "ReceiveWithAuthorization", OWNER, (PAYEE.address, 70))
    with refused("ERC20InvalidReceiver", text(PAYEE.address)):
        euro.transact(SPENDER, "receiveWithAuthorization", *signed)


def test_tok_10_what_is_signed_for_receive_is_not_good_for_transfer(euro: Contract) -> None:
    signed = authorization(euro, "ReceiveWithAuthorization", OWNER, (PAYEE.address, 70))
    with refused("ERC3009InvalidSignature"):
        euro.transact(PAYEE, "transferWithAuthorization", *signed)


@pytest.mark.parametrize("offset", [0, 1])
def test_tok_10_an_authorisation_is_not_good_before_its_time(euro: Contract, offset: int) -> None:
    now = euro.chain.now
    window = (now + offset, now + HOUR)
    signed = authorization(
        euro, "TransferWithAuthorization", OWNER, (PAYEE.address, 1), Signing(window=window)
    )
    with refused("ERC3009InvalidAuthorizationTime", *window):
        euro.transact(PAYEE, "transferWithAuthorization", *signed)


@pytest.mark.parametrize("offset", [0, -1])
def test_tok_10_an_authorisation_is_not_good_at_its_end(euro: Contract, offset: int) -> None:
    window = (0, euro.chain.now + offset)
    signed = authorization(
        euro, "TransferWithAuthorization", OWNER, (PAYEE.address, 1), Signing(window=window)
    )
    with refused("ERC3009InvalidAuthorizationTime", *window):
        euro.transact(PAYEE, "transferWithAuthorization", *signed)


def test_tok_10_times_are_seconds_whatever_their_size(euro: Contract) -> None:
    # With bit 47 set in both, the library would read block numbers: 0 < number < 2^46.
    window = (2**47, 2**47 + 2**46)
    signed = authorization(
        euro, "TransferWithAuthorization", OWNER, (PAYEE.address, 1), Signing(window=window)
    )
    with refused("ERC3009InvalidAuthorizationTime", *window):
        euro.transact(PAYEE, "transferWithAuthorization", *signed)


def test_tok_10_an_authorisation_signed_by_another_is_refused(euro: Contract) -> None:
    signed = authorization(
        euro, "TransferWithAuthorization", OWNER, (PAYEE.address, 1), Signing(signer=SPENDER)
    )
    with refused("ERC3009InvalidSignature"):
        euro.transact(PAYEE, "transferWithAuthorization", *signed)


def test_tok_10_a_cancelled_authorisation_moves_nothing(euro: Contract) -> None:
    receipt = euro.transact(STRANGER, "cancelAuthorization", *cancellation(euro, OWNER, NONCE))
    assert receipt.event("AuthorizationCanceled").arguments == {
        "authorizer": text(OWNER.address),
        "nonce": NONCE,
    }
    assert euro.read("authorizationState", OWNER.address, NONCE) is True
    signed = authorization(euro, "TransferWithAuthorization", OWNER, (PAYEE.address, 1))
    with refused("ERC3009UsedAuthorization"):
        euro.transact(PAYEE, "transferWithAuthorization", *signed)
    with refused("ERC3009UsedAuthorization"):
        euro.transact(STRANGER, "cancelAuthorization", *cancellation(euro, OWNER, NONCE))


# ERC-165 and ERC-7943 (TOK-11).


@pytest.mark.parametrize(
    ("interface", "expected"),
    [
        ("01ffc9a7", True),
        ("3edbb4c4", True),
        ("36372b07", True),
        ("9d8ff7da", True),
        ("bf1ef5fe", False),
        ("41c4fbad", False),
        ("ffffffff", False),
    ],
)
def test_tok_12_the_token_names_its_interfaces(
    euro: Contract, interface: str, expected: bool
) -> None:
    assert euro.read("supportsInterface", bytes.fromhex(interface)) is expected


QUESTIONS = ("canSend", "canReceive")


@pytest.mark.parametrize("question", QUESTIONS)
def test_tok_11_an_account_may_move_money_if_it_is_admitted_and_not_frozen_whole(
    street: Street, euro: Contract, question: str
) -> None:
    assert euro.read(question, OWNER.address) is True
    assert euro.read(question, STRANGER.address) is False
    assert euro.read(question, ZERO) is False
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    assert euro.read(question, OWNER.address) is False


@pytest.mark.parametrize("question", QUESTIONS)
def test_tok_11_whether_an_account_may_move_money_says_nothing_of_amounts(
    euro: Contract, question: str
) -> None:
    euro.transact(FIRST, "setLimits", (0, 0, 0))
    freeze(euro, OWNER.address, 2**255 - 1)
    assert euro.read("availableOf", OWNER.address) == 0
    assert euro.read(question, OWNER.address) is True
    freeze(euro, OWNER.address, 2**255, reference="whole")
    assert euro.read(question, OWNER.address) is False


@pytest.mark.parametrize("amount", [0, 1, 2**255, 2**256 - 1])
@pytest.mark.parametrize("payer", [OWNER.address, STRANGER.address, ZERO, b"\xff" * 20])
def test_tok_11_no_question_reverts(euro: Contract, payer: bytes, amount: int) -> None:
    for token_state in range(2):
        for payee in (SPENDER.address, contracts.SETTLEMENT_ADDRESS, ZERO, euro.address, payer):
            assert euro.read("canTransfer", payer, payee, amount) in (True, False)
            assert euro.read("canSend", payee) in (True, False)
        if token_state == 0:
            euro.transact(FIRST, "pause", 2)


def test_tok_11_can_transfer_asks_the_payer_and_the_payee(euro: Contract) -> None:
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 1) is True
    assert euro.read("canTransfer", STRANGER.address, SPENDER.address, 1) is False
    assert euro.read("canTransfer", OWNER.address, STRANGER.address, 1) is False
    freeze(euro, SPENDER.address, WHOLE)
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 1) is False
    assert euro.read("canTransfer", SPENDER.address, OWNER.address, 0) is False


def test_tok_11_can_transfer_is_false_above_what_is_not_frozen(euro: Contract) -> None:
    freeze(euro, OWNER.address, 200)
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 300) is True
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 301) is False
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 501) is False


def test_tok_11_can_transfer_does_not_look_at_balance_and_allowance(euro: Contract) -> None:
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 501) is True
    assert euro.read("canTransfer", PAYEE.address, SPENDER.address, 1) is True
    with refused("ERC20InsufficientBalance"):
        euro.transact(OWNER, "transfer", SPENDER.address, 501)


def test_tok_11_can_transfer_is_false_for_every_rule_that_would_stop_it(euro: Contract) -> None:
    settlement, other = ALPHA.settlement.address, BETA.settlement.address
    assert euro.read("canTransfer", settlement, other, 1) is False
    assert euro.read("canTransfer", settlement, SPENDER.address, 1) is False
    assert euro.read("canTransfer", OWNER.address, other, 1) is False
    assert euro.read("canTransfer", settlement, OWNER.address, 1) is True
    euro.transact(FIRST, "setLimits", (10, WHOLE, WHOLE))
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 10) is True
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 11) is False
    euro.transact(FIRST, "setLimits", (WHOLE, 5, WHOLE))
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 5) is True
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 6) is False
    euro.transact(SECOND, "pause", 2)
    assert euro.read("canTransfer", OWNER.address, SPENDER.address, 0) is False


def test_tok_11_what_is_frozen_may_be_above_the_balance(euro: Contract) -> None:
    receipt = freeze(euro, OWNER.address, 10_000)
    assert receipt.event("Frozen").arguments == {"account": text(OWNER.address), "amount": 10_000}
    assert euro.read("getFrozenTokens", OWNER.address) == 10_000
    assert euro.read("availableOf", OWNER.address) == 0


def test_tok_11_set_frozen_tokens_overwrites_and_says_so(euro: Contract) -> None:
    _, receipt = ordered(euro, "setFrozenTokens", OWNER.address, 600)
    assert receipt.event("Frozen").arguments == {"account": text(OWNER.address), "amount": 600}
    ordered(euro, "setFrozenTokens", OWNER.address, 100, reference="lower", expected=600)
    assert euro.read("getFrozenTokens", OWNER.address) == 100


def test_tok_11_both_orders_answer_true(euro: Contract) -> None:
    for function, arguments in (
        ("setFrozenTokens", (OWNER.address, 1)),
        ("forcedTransfer", (OWNER.address, PAYEE.address, 1)),
    ):
        order_id = propose(euro, function, *arguments)
        euro.transact(SECOND, "confirm", order_id)
        assert euro.read(function, *arguments, sender=FIRST.address) is True


@pytest.mark.parametrize(
    "sender", [OWNER, OPERATOR.operating, OPERATOR.account("officer"), STRANGER]
)
def test_tok_11_both_orders_are_for_officers_of_the_issuer(euro: Contract, sender: object) -> None:
    key = sender
    for function, arguments in (
        ("setFrozenTokens", (OWNER.address, 1)),
        ("forcedTransfer", (OWNER.address, PAYEE.address, 1)),
    ):
        order_id = propose(euro, function, *arguments)
        euro.transact(SECOND, "confirm", order_id)
        with refused("TokenCallerNotOfficer"):
            euro.transact(key, function, *arguments)  # type: ignore[arg-type]


def test_tok_11_a_forced_transfer_says_so_after_the_transfer(euro: Contract) -> None:
    _, receipt = ordered(euro, "forcedTransfer", OWNER.address, PAYEE.address, 200)
    assert receipt.names == ["OrderExecuted", "TransferOrdered", "Transfer", "ForcedTransfer"]
    assert receipt.event("ForcedTransfer").arguments == {
        "from": text(OWNER.address),
        "to": text(PAYEE.address),
        "amount": 200,
    }
    assert (balance(euro, OWNER.address), balance(euro, PAYEE.address)) == (300, 200)


def test_tok_11_a_forced_transfer_of_frozen_money_lowers_the_freeze_first(euro: Contract) -> None:
    ordered(euro, "setFrozenTokens", OWNER.address, 400)
    _, receipt = ordered(
        euro, "forcedTransfer", OWNER.address, PAYEE.address, 250, reference="seizure"
    )
    names = receipt.names
    assert names.index("Frozen") < names.index("Transfer") < names.index("ForcedTransfer")
    assert receipt.event("Frozen").arguments["amount"] == 250
    assert euro.read("getFrozenTokens", OWNER.address) == 250


def test_tok_11_a_forced_transfer_reverts_where_the_payee_cannot_receive(euro: Contract) -> None:
    for payee in (STRANGER.address, contracts.SETTLEMENT_ADDRESS):
        order_id = propose(euro, "forcedTransfer", OWNER.address, payee, 1)
        euro.transact(SECOND, "confirm", order_id)
        with refused("ERC7943CannotReceive", text(payee)):
            euro.transact(FIRST, "forcedTransfer", OWNER.address, payee, 1)


def test_tok_11_a_forced_transfer_reverts_above_the_balance(euro: Contract) -> None:
    order_id = propose(euro, "forcedTransfer", OWNER.address, PAYEE.address, 501)
    euro.transact(SECOND, "confirm", order_id)
    with refused("ERC20InsufficientBalance", text(OWNER.address), 500, 501):
        euro.transact(FIRST, "forcedTransfer", OWNER.address, PAYEE.address, 501)


def test_tok_11_a_set_frozen_tokens_of_a_stranger_reverts(euro: Contract) -> None:
    order_id = propose(euro, "setFrozenTokens", STRANGER.address, 1)
    euro.transact(SECOND, "confirm", order_id)
    with refused("TokenInvalidAccount", text(STRANGER.address)):
        euro.transact(FIRST, "setFrozenTokens", STRANGER.address, 1)


@pytest.mark.parametrize("state", ["frozen", "partly frozen", "suspended", "paused", "limited"])
def test_tok_11_no_public_transfer_succeeds_where_can_transfer_is_false(
    street: Street, euro: Contract, state: str
) -> None:
    euro.transact(OWNER, "approve", SPENDER.address, 100)
    signed = authorization(euro, "TransferWithAuthorization", OWNER, (PAYEE.address, 100))
    received = authorization(euro, "ReceiveWithAuthorization", OWNER, (PAYEE.address, 100))
    if state == "frozen":
        freeze(euro, OWNER.address, WHOLE)
    elif state == "partly frozen":
        freeze(euro, OWNER.address, 401)
    elif state == "suspended":
        street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    elif state == "paused":
        euro.transact(FIRST, "pause", 2)
    else:
        euro.transact(FIRST, "setLimits", (99, WHOLE, WHOLE))
    assert euro.read("canTransfer", OWNER.address, PAYEE.address, 100) is False
    for sender, function, arguments in (
        (OWNER, "transfer", (PAYEE.address, 100)),
        (SPENDER, "transferFrom", (OWNER.address, PAYEE.address, 100)),
        (SPENDER, "transferWithAuthorization", signed),
        (PAYEE, "receiveWithAuthorization", received),
    ):
        with pytest.raises(Reverted):
            euro.transact(sender, function, *arguments)
    assert balance(euro, PAYEE.address) == 0


def test_tok_11_money_is_not_issued_to_nor_redeemed_by_a_frozen_account(
    street: Street, euro: Contract
) -> None:
    street.attest(EUR, street.attestation(EUR, 5_000))
    freeze(euro, ALPHA.settlement.address, WHOLE)
    with refused("ERC7943CannotReceive", text(ALPHA.settlement.address)):
        street.issue(EUR, ALPHA, 1, "frozen")
    with refused("ERC7943CannotSend", text(ALPHA.settlement.address)):
        euro.transact(OWNER, "redeem", NONCE, ALPHA.settlement.address, 1)


def test_tok_11_a_redemption_takes_no_frozen_money(euro: Contract) -> None:
    freeze(euro, ALPHA.settlement.address, 400)
    with refused("ERC7943InsufficientUnfrozenBalance", text(ALPHA.settlement.address), 101, 100):
        euro.transact(OWNER, "redeem", NONCE, ALPHA.settlement.address, 101)
    euro.transact(OWNER, "redeem", NONCE, ALPHA.settlement.address, 100)


def test_tok_11_the_error_tells_frozen_money_from_missing_money(euro: Contract) -> None:
    freeze(euro, OWNER.address, 450)
    with refused("ERC7943InsufficientUnfrozenBalance", text(OWNER.address), 51, 50):
        euro.transact(OWNER, "transfer", PAYEE.address, 51)
    with refused("ERC20InsufficientBalance", text(OWNER.address), 500, 501):
        euro.transact(OWNER, "transfer", PAYEE.address, 501)


def test_tok_11_the_reason_behind_can_transfer_can_be_asked_for(
    street: Street, euro: Contract
) -> None:
    leg = replace(street.plain_terms().legs[0], amount=2_000)
    terms = replace(street.plain_terms(), legs=(leg,))
    payment_id = street.instruct(terms)
    street.accept(payment_id, terms)
    move = (ALPHA.settlement.address, OWNER.address, 1)
    assert euro.read("canTransfer", *move) is False
    with refused("TokenQueueNotEmpty", text(ALPHA.settlement.address), 1):
        euro.read("checkTransfer", *move)

"""CurrencyToken as docs/spec/settlement.md requires it (TOK), ERC-20 included."""

import pytest

import contracts
from node.primitives import keccak
from support.chain_harness import key_of, refused
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUR,
    EUROSYSTEM,
    HOUR,
    MAKER,
    OPERATOR,
    SGD,
    Institution,
    Street,
)
from support.transactions import Key

STRANGER = key_of("stranger")
ZERO = bytes(20)
REFERENCE = keccak(b"reference")


def text(address: bytes) -> str:
    return "0x" + address.hex()


def case_name(value: object) -> str:
    """Return what a table's row is called: its amounts and error, not its bytes."""
    return str(value) if isinstance(value, str | int) else ""


@pytest.fixture
def funded(street: Street) -> Street:
    """Alpha holds 500 euro cents in its settlement and 500 in its operating account."""
    street.fund(EUR, {ALPHA: 1_000, BETA: 50})
    street.tokens[EUR].transact(ALPHA.settlement, "transfer", ALPHA.operating.address, 500)
    return street


# ERC-20 (TOK-1), between accounts that may transfer freely.


def test_tok_1_the_token_is_named_as_its_currency(street: Street) -> None:
    euro, dollar = street.tokens[EUR], street.tokens[SGD]
    assert [euro.read(name) for name in ("name", "symbol", "decimals")] == ["Euro", "EUR", 2]
    assert [euro.read("currency"), euro.read("issuer")] == [EUR, EUROSYSTEM.lei]
    assert [dollar.read("symbol"), dollar.read("issuer")] == ["SGD", AUTHORITY.lei]


@pytest.mark.parametrize("amount", [0, 1, 500])
def test_tok_1_a_transfer_moves_the_amount_and_says_so(funded: Street, amount: int) -> None:
    euro = funded.tokens[EUR]
    receipt = euro.transact(ALPHA.operating, "transfer", BETA.operating.address, amount)
    moved = receipt.event("Transfer").arguments
    assert moved == {
        "from": text(ALPHA.operating.address),
        "to": text(BETA.operating.address),
        "value": amount,
    }
    assert euro.read("balanceOf", ALPHA.operating.address) == 500 - amount
    assert euro.read("balanceOf", BETA.operating.address) == amount
    assert euro.read("transfer", BETA.operating.address, 0, sender=ALPHA.operating.address) is True


def test_tok_1_a_transfer_to_oneself_changes_nothing(funded: Street) -> None:
    euro = funded.tokens[EUR]
    euro.transact(ALPHA.operating, "transfer", ALPHA.operating.address, 500)
    assert euro.read("balanceOf", ALPHA.operating.address) == 500
    with refused("ERC20InsufficientBalance", text(ALPHA.operating.address), 500, 501):
        euro.transact(ALPHA.operating, "transfer", ALPHA.operating.address, 501)


def test_tok_1_a_transfer_beyond_the_balance_is_refused_whole(funded: Street) -> None:
    euro = funded.tokens[EUR]
    with refused("ERC20InsufficientBalance", text(ALPHA.operating.address), 500, 501):
        euro.transact(ALPHA.operating, "transfer", BETA.operating.address, 501)
    with refused("ERC20InvalidReceiver", text(ZERO)):
        euro.transact(ALPHA.operating, "transfer", ZERO, 1)


def test_tok_1_an_allowance_is_spent_and_never_exceeded(funded: Street) -> None:
    euro = funded.tokens[EUR]
    receipt = euro.transact(ALPHA.operating, "approve", BETA.operating.address, 300)
    assert receipt.event("Approval").arguments["value"] == 300
    spend = (ALPHA.operating.address, BETA.operating.address)
    receipt = euro.transact(BETA.operating, "transferFrom", *spend, 120)
    assert receipt.names == ["Transfer"]
    assert euro.read("allowance", *spend) == 180
    with refused("ERC20InsufficientAllowance", text(BETA.operating.address), 180, 181):
        euro.transact(BETA.operating, "transferFrom", *spend, 181)
    euro.transact(ALPHA.operating, "approve", BETA.operating.address, 0)
    with refused("ERC20InsufficientAllowance"):
        euro.transact(BETA.operating, "transferFrom", *spend, 1)
    euro.transact(BETA.operating, "transferFrom", *spend, 0)


def test_tok_1_an_unlimited_allowance_stays(funded: Street) -> None:
    euro = funded.tokens[EUR]
    spend = (ALPHA.operating.address, BETA.operating.address)
    euro.transact(ALPHA.operating, "approve", BETA.operating.address, 2**256 - 1)
    euro.transact(BETA.operating, "transferFrom", *spend, 500)
    assert euro.read("allowance", *spend) == 2**256 - 1
    with refused("ERC20InvalidSpender", text(ZERO)):
        euro.transact(ALPHA.operating, "approve", ZERO, 1)


# Who may hold and move (TOK-2, TOK-3).


def test_tok_2_nobody_unknown_pays_or_receives(funded: Street) -> None:
    euro = funded.tokens[EUR]
    with refused("TokenAccountNotAdmitted", text(STRANGER.address)):
        euro.transact(ALPHA.operating, "transfer", STRANGER.address, 1)
    with refused("TokenAccountNotAdmitted", text(STRANGER.address)):
        euro.transact(STRANGER, "transfer", BETA.operating.address, 0)
    for contract in (contracts.SETTLEMENT_ADDRESS, euro.address):
        with refused("TokenAccountNotAdmitted", text(contract)):
            euro.transact(ALPHA.operating, "transfer", contract, 1)


@pytest.mark.parametrize("suspended", [ALPHA, BETA])
def test_tok_2_nothing_of_a_suspended_participant_moves(
    funded: Street, suspended: Institution
) -> None:
    euro = funded.tokens[EUR]
    funded.registry.transact(OPERATOR.operating, "suspend", suspended.lei)
    with refused("TokenAccountNotAdmitted", text(suspended.operating.address)):
        euro.transact(ALPHA.operating, "transfer", BETA.operating.address, 1)
    funded.registry.transact(OPERATOR.operating, "reinstate", suspended.lei)
    euro.transact(ALPHA.operating, "transfer", BETA.operating.address, 1)


LOCKED = [
    pytest.param(
        ALPHA.settlement, BETA.settlement, ALPHA.settlement, id="settlement to settlement"
    ),
    pytest.param(ALPHA.settlement, BETA.operating, ALPHA.settlement, id="settlement to other"),
    pytest.param(ALPHA.operating, BETA.settlement, BETA.settlement, id="other to settlement"),
]


@pytest.mark.parametrize(("payer", "payee", "locked"), LOCKED)
def test_tok_3_settlement_accounts_refuse_transfers_between_participants(
    funded: Street, payer: Key, payee: Key, locked: Key
) -> None:
    euro = funded.tokens[EUR]
    euro.transact(payer, "approve", MAKER.operating.address, 10)
    for amount in (0, 1):
        with refused("TokenSettlementAccountLocked", text(locked.address)):
            euro.transact(payer, "transfer", payee.address, amount)
        with refused("TokenSettlementAccountLocked", text(locked.address)):
            euro.transact(MAKER.operating, "transferFrom", payer.address, payee.address, amount)


def test_tok_3_within_one_participant_settlement_accounts_transfer(funded: Street) -> None:
    euro = funded.tokens[EUR]
    second = key_of("alpha/second")
    entry = (keccak(b"second"), second.address, 1)
    funded.registry.transact(OPERATOR.operating, "addAccount", ALPHA.lei, entry)
    euro.transact(ALPHA.operating, "transfer", ALPHA.settlement.address, 100)
    euro.transact(ALPHA.settlement, "transfer", second.address, 600)
    assert euro.read("balanceOf", second.address) == 600


# Issue against attested reserves (TOK-4, TOK-7).


def test_tok_4_an_issue_mints_once_and_says_so(street: Street) -> None:
    euro = street.tokens[EUR]
    street.attest(EUR, street.attestation(EUR, 100))
    receipt = street.issue(EUR, ALPHA, 100, "first")
    assert receipt.names == ["Transfer", "Issued"]
    assert receipt.event("Transfer").arguments["from"] == text(ZERO)
    assert receipt.event("Issued").arguments == {
        "issueReference": keccak(b"first"),
        "to": text(ALPHA.settlement.address),
        "amount": 100,
    }
    assert euro.read("totalSupply") == street.balance(ALPHA, EUR) == 100
    assert euro.read("isIssueReferenceUsed", keccak(b"first"))


@pytest.mark.parametrize(
    "sender",
    [
        ALPHA.operating,
        AUTHORITY.operating,
        OPERATOR.operating,
        EUROSYSTEM.account("attesting"),
        STRANGER,
    ],
)
def test_tok_4_only_the_issuers_operating_key_issues(street: Street, sender: Key) -> None:
    street.attest(EUR, street.attestation(EUR, 100))
    with refused("TokenCallerNotIssuer", text(sender.address)):
        street.tokens[EUR].transact(sender, "issue", REFERENCE, ALPHA.settlement.address, 1)


def test_tok_4_a_suspended_issuer_issues_nothing(street: Street) -> None:
    street.attest(EUR, street.attestation(EUR, 100))
    street.registry.transact(OPERATOR.operating, "suspend", EUROSYSTEM.lei)
    with refused("TokenCallerNotIssuer"):
        street.issue(EUR, ALPHA, 1, "suspended")


@pytest.mark.parametrize(
    ("reference", "to", "amount", "error"),
    [
        (REFERENCE, ALPHA.settlement, 0, "TokenInvalidAmount"),
        (bytes(32), ALPHA.settlement, 1, "TokenReferenceUsed"),
        (keccak(b"used"), ALPHA.settlement, 1, "TokenReferenceUsed"),
        (REFERENCE, ALPHA.operating, 1, "TokenNotSettlementAccount"),
        (REFERENCE, STRANGER, 1, "TokenNotSettlementAccount"),
        (REFERENCE, ALPHA.settlement, 91, "TokenReservesExceeded"),
        (REFERENCE, ALPHA.settlement, 2**256 - 1, "TokenReservesExceeded"),
    ],
    ids=case_name,
)
def test_tok_4_each_guard_of_issue(
    street: Street, reference: bytes, to: Key, amount: int, error: str
) -> None:
    street.attest(EUR, street.attestation(EUR, 100))
    street.issue(EUR, ALPHA, 10, "used")
    with refused(error):
        street.tokens[EUR].transact(EUROSYSTEM.operating, "issue", reference, to.address, amount)
    assert street.tokens[EUR].read("totalSupply") == 10


def test_tok_4_nothing_is_issued_to_a_suspended_participant(street: Street) -> None:
    street.attest(EUR, street.attestation(EUR, 100))
    street.registry.transact(OPERATOR.operating, "suspend", ALPHA.lei)
    with refused("TokenAccountNotAdmitted", text(ALPHA.settlement.address)):
        street.issue(EUR, ALPHA, 10, "suspended")
    assert not street.tokens[EUR].read("isIssueReferenceUsed", keccak(b"suspended"))


def test_tok_4_without_an_attestation_nothing_is_issued(street: Street) -> None:
    with refused("TokenAttestationMissing"):
        street.issue(EUR, ALPHA, 1, "early")


def test_tok_4_a_stale_attestation_backs_nothing(street: Street) -> None:
    attestation = street.attestation(EUR, 100)
    street.attest(EUR, attestation)
    street.pass_time(HOUR)
    street.issue(EUR, ALPHA, 1, "last second")
    street.pass_time(1)
    with refused("TokenAttestationExpired", 1, attestation.valid_until):
        street.issue(EUR, ALPHA, 1, "late")


def test_tok_7_many_small_issues_stop_at_the_attested_amount(street: Street) -> None:
    street.attest(EUR, street.attestation(EUR, 25))
    for index in range(2):
        street.issue(EUR, ALPHA, 10, f"part {index}")
    with refused("TokenReservesExceeded", 20, 10, 25):
        street.issue(EUR, ALPHA, 10, "part 3")
    street.issue(EUR, BETA, 5, "the rest")


# Redeem (TOK-5).


def test_tok_5_a_redemption_burns_and_says_so(funded: Street) -> None:
    euro = funded.tokens[EUR]
    receipt = euro.transact(ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 200)
    assert receipt.names == ["Transfer", "Redeemed"]
    assert receipt.event("Transfer").arguments["to"] == text(ZERO)
    assert funded.balance(ALPHA, EUR) == 300
    assert euro.read("totalSupply") == 850


@pytest.mark.parametrize(
    ("sender", "reference", "owner", "amount", "error"),
    [
        (BETA.operating, REFERENCE, ALPHA.settlement, 1, "TokenCallerNotOwner"),
        (EUROSYSTEM.operating, REFERENCE, ALPHA.settlement, 1, "TokenCallerNotOwner"),
        (ALPHA.settlement, REFERENCE, ALPHA.settlement, 1, "TokenCallerNotOwner"),
        (ALPHA.account("quoting"), REFERENCE, ALPHA.settlement, 1, "TokenCallerNotOwner"),
        (STRANGER, REFERENCE, STRANGER, 1, "TokenCallerNotOwner"),
        (ALPHA.operating, REFERENCE, ALPHA.settlement, 0, "TokenInvalidAmount"),
        (ALPHA.operating, bytes(32), ALPHA.settlement, 1, "TokenReferenceUsed"),
        (ALPHA.operating, REFERENCE, ALPHA.operating, 1, "TokenNotSettlementAccount"),
        (ALPHA.operating, REFERENCE, ALPHA.settlement, 501, "ERC20InsufficientBalance"),
    ],
    ids=case_name,
)
def test_tok_5_each_guard_of_redeem(
    funded: Street, sender: Key, reference: bytes, owner: Key, amount: int, error: str
) -> None:
    with refused(error):
        funded.tokens[EUR].transact(sender, "redeem", reference, owner.address, amount)
    assert funded.tokens[EUR].read("totalSupply") == 1_050


def test_tok_5_a_participant_uses_a_reference_for_one_redemption(funded: Street) -> None:
    euro = funded.tokens[EUR]
    euro.transact(ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 1)
    with refused("TokenReferenceUsed", REFERENCE):
        euro.transact(ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 1)
    assert euro.read("isRedeemReferenceUsed", ALPHA.lei, REFERENCE)
    assert not euro.read("isRedeemReferenceUsed", BETA.lei, REFERENCE)


def test_tok_5_nobody_uses_up_the_reference_of_another(funded: Street) -> None:
    euro = funded.tokens[EUR]
    euro.transact(BETA.operating, "redeem", REFERENCE, BETA.settlement.address, 1)
    assert not euro.read("isIssueReferenceUsed", REFERENCE)
    funded.attest(EUR, funded.attestation(EUR, 2_000))
    euro.transact(EUROSYSTEM.operating, "issue", REFERENCE, ALPHA.settlement.address, 1)
    euro.transact(ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 1)
    with refused("TokenReferenceUsed", REFERENCE):
        euro.transact(EUROSYSTEM.operating, "issue", REFERENCE, ALPHA.settlement.address, 1)


def test_tok_5_what_is_burnt_backs_no_further_issue(street: Street) -> None:
    euro = street.tokens[EUR]
    street.fund(EUR, {ALPHA: 100})
    euro.transact(ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 30)
    with refused("TokenReservesExceeded", 70, 1, 70):
        street.issue(EUR, ALPHA, 1, "released reserves")
    street.attest(EUR, street.attestation(EUR, 71))
    street.issue(EUR, ALPHA, 1, "attested again")


def test_tok_5_a_burn_beyond_the_attested_amount_leaves_none(street: Street) -> None:
    euro = street.tokens[EUR]
    street.fund(EUR, {ALPHA: 100})
    street.attest(EUR, street.attestation(EUR, 40))
    euro.transact(ALPHA.operating, "redeem", REFERENCE, ALPHA.settlement.address, 50)
    assert euro.read("latestAttestation")[3] == 0
    assert euro.read("totalSupply") == 50

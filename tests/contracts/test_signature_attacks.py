"""What can be tried with signatures over quotes, and with contracts that sign (PAY-6, PAY-7).

Each attack is made in earnest, and leaves the quote whole and the payments that wait where they were.
"""

from dataclasses import astuple, replace
from typing import Any, Final

import pytest
from eth_abi.abi import encode

import contracts
from node.primitives import SECP256K1_ORDER, keccak
from support.chain_harness import Contract, Reverted, key_of, refused, signature_of
from support.rounds import as_argument, propose
from support.settlement_network import (
    ALPHA,
    BETA,
    EUR,
    MAKER,
    OPERATOR,
    SGD,
    ZERO_HASH,
    Street,
    quote_data,
    quote_hash_of,
    sign,
    sign_quote,
    signed,
)
from support.waiting import (
    INSTRUCTED,
    QUEUED,
    SETTLED,
    URGENT,
    add_account,
    pay,
    terms_of,
)

MAGIC: Final = 0x1626BA7E << 224
QUOTING: Final = 3


# Signatures.


def _wallet(street: Street, runtime: bytes) -> bytes:
    """Deploy a contract and register it as a quoting account of Maker."""
    size = len(runtime).to_bytes(2, "big")
    created = b"\x61" + size + bytes.fromhex("600c5f3961") + size + bytes.fromhex("5ff3")
    wallet = street.chain.deploy(OPERATOR.operating, created + runtime)
    add_account(street, MAKER, "wallet", wallet, QUOTING)
    return wallet


def _calling(target: bytes, calldata: bytes) -> bytes:
    """Code that calls a contract, whatever comes of it, and then says that a signature is right."""
    tail = (
        bytes.fromhex("5af150")
        + b"\x7f"
        + MAGIC.to_bytes(32, "big")
        + bytes.fromhex("5f5260205ff3")
    )
    size = len(calldata).to_bytes(2, "big")
    length = 3 + 3 + 2 + 2 + 3 + 2 + 21 + len(tail)
    head = b"\x61" + size + b"\x61" + length.to_bytes(2, "big") + bytes.fromhex("5f39")
    call = bytes.fromhex("5f5f") + b"\x61" + size + bytes.fromhex("5f5f") + b"\x73" + target
    code = head + call + tail
    assert len(code) == length
    return code + calldata


def test_a_signing_contract_cannot_act_while_it_is_asked(hundreds: Street) -> None:
    """It may resolve and end its own quote, and would do either in the middle of an instruction."""
    ring = [
        terms_of(hundreds, payer, payee, 200) for payer, payee in ((ALPHA, BETA), (BETA, ALPHA))
    ]
    terms_by_id = {
        pay(hundreds, ALPHA, BETA, ring[0]): ring[0],
        pay(hundreds, BETA, ALPHA, ring[1]): ring[1],
    }
    quote = hundreds.quote(maker_amount=50, taker_amount=60)
    acts = {
        "resolve": (as_argument(propose(hundreds, terms_by_id)),),
        "cancelQuote": (astuple(quote),),
    }
    for function, arguments in acts.items():
        street = hundreds.fork()
        street.uetr_count = hundreds.uetr_count
        data = street.settlement.encode(function, *arguments)
        wallet = _wallet(street, _calling(street.settlement.address, data))
        terms = replace(street.quoted_terms(quote), priority=URGENT)
        armed = street.fork()
        armed.chain.send(BETA.operating, wallet, b"", gas_limit=2_000_000)
        is_done = [armed.state(key)[0] == SETTLED for key in terms_by_id]
        is_done.append(armed.settlement.read("quoteUse", quote_hash_of(quote))[1])
        assert any(is_done), "the contract acts when it is called in earnest"
        given = signed(quote, signer=wallet, signature=b"")
        payment_id = street.instruct_with_quotes(terms, given)
        assert street.state(payment_id)[0] == INSTRUCTED
        assert [street.state(key)[0] for key in terms_by_id] == [QUEUED, QUEUED]
        assert street.settlement.read("quoteUse", quote_hash_of(quote)) == (50, False)


@pytest.mark.parametrize("runtime", ["5b5f56", "60015f5260015ff3", "5f5ffd", "00", "fe"])
def test_a_signing_contract_that_burns_breaks_or_mumbles_signs_nothing(
    hundreds: Street, runtime: str
) -> None:
    wallet = _wallet(hundreds, bytes.fromhex(runtime))
    quote = hundreds.quote(maker_amount=50, taker_amount=60)
    terms, uetr_hash = hundreds.quoted_terms(quote), keccak(b"uetr")
    given = [signed(quote, signer=wallet, signature=b"")]
    with pytest.raises(Reverted):
        hundreds.settlement.transact(
            ALPHA.operating, "instructWithQuotes", uetr_hash, astuple(terms), given
        )
    given = [signed(quote, signer=MAKER.account("quoting").address)]
    hundreds.settlement.transact(
        ALPHA.operating, "instructWithQuotes", uetr_hash, astuple(terms), given
    )


def test_a_quote_is_not_replayed_on_another_chain_or_contract(hundreds: Street) -> None:
    quote = hundreds.quote(maker_amount=50, taker_amount=60)
    terms, signer = hundreds.quoted_terms(quote), MAKER.account("quoting")
    for member, other in (
        ("chainId", 1),
        ("verifyingContract", "0x" + hundreds.tokens[EUR].address.hex()),
        ("name", "Corridor CurrencyToken"),
        ("version", "2"),
    ):
        document = quote_data(quote)
        document["domain"][member] = other
        with refused("SettlementQuoteSignerUnknown"):
            hundreds.instruct_with_quote(terms, quote, signature=sign(signer, document))
    twin = _second_settlement(hundreds)
    assert twin.read("quoteHashOf", astuple(quote)) != quote_hash_of(quote)
    there = replace(terms, quote_hash=twin.read("quoteHashOf", astuple(quote)))
    given = [signed(quote, signer=signer.address)]
    with refused("SettlementQuoteSignerUnknown"):
        twin.transact(ALPHA.operating, "instructWithQuotes", ZERO_HASH, astuple(there), given)
    hundreds.instruct_with_quote(terms, quote)


def _second_settlement(street: Street) -> Contract:
    """Deploy another settlement contract beside the network's."""
    abi = contracts.load("PaymentSettlement").abi
    entry = next(each for each in abi if each.get("name") == "initialize")
    assets = [street.tokens[currency].address for currency in (EUR, SGD)]
    arguments = (
        contracts.ACCESS_MANAGER_ADDRESS,
        contracts.REGISTRY_ADDRESS,
        [EUR, SGD],
        assets,
    )
    types = [each["type"] for each in entry["inputs"]]
    initialiser = keccak(signature_of(entry).encode())[:4] + encode(types, arguments)
    implementation = contracts.SETTLEMENT_IMPLEMENTATION_ADDRESS
    creation = contracts.load("ERC1967Proxy").bytecode + encode(
        ["address", "bytes"], [implementation, initialiser]
    )
    address = street.chain.deploy(key_of("deployer"), creation)
    return Contract(street.chain, address, "PaymentSettlement")


def test_a_signature_has_one_form_and_a_quote_one_use(hundreds: Street) -> None:
    quote = hundreds.quote(maker_amount=50, taker_amount=60)
    terms, signature = hundreds.quoted_terms(quote), sign_quote(quote)
    r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
    twin = (SECP256K1_ORDER - s).to_bytes(32, "big")
    compact = (s | (v - 27) << 255).to_bytes(32, "big")
    forms = {
        "high s": r + twin + bytes([55 - v]),
        "high s, same v": r + twin + bytes([v]),
        "v of 0 or 1": signature[:64] + bytes([v - 27]),
        "v of EIP-155": signature[:64] + bytes([v + 8]),
        "the other v": signature[:64] + bytes([55 - v]),
        "compact": r + compact,
        "without v": signature[:64],
        "with a tail": signature + b"\0",
        "empty": b"",
        "of zeros": bytes(65),
    }
    for form in forms.values():
        with refused("SettlementQuoteSignerUnknown"):
            hundreds.instruct_with_quote(terms, quote, signature=form)
    hundreds.instruct_with_quote(terms, quote)
    for form in (signature, forms["high s"], forms["compact"]):
        with refused("SettlementQuoteUsed", quote_hash_of(quote), 0):
            hundreds.instruct_with_quote(terms, quote, signature=form)


def test_nobody_takes_a_quote_that_was_given_to_another(hundreds: Street) -> None:
    """Beta sees Alpha's instruction on its way and is first with its own."""
    quote = hundreds.quote(maker_amount=50, taker_amount=60)
    terms, signature = hundreds.quoted_terms(quote), sign_quote(quote)
    legs = (
        replace(terms.legs[0], payer=BETA.reference()),
        replace(terms.legs[1], payee=ALPHA.reference()),
    )
    given: dict[str, Any] = {"signature": signature, "sender": BETA.operating}
    with refused("SettlementQuoteMismatch", 1):
        hundreds.instruct_with_quote(replace(terms, legs=legs), quote, **given)
    changed = replace(quote, taker=BETA.lei)
    taken = replace(terms, legs=legs, quote_hash=quote_hash_of(changed))
    with refused("SettlementQuoteSignerUnknown"):
        hundreds.instruct_with_quote(taken, changed, **given)
    with refused("SettlementCallerNotParty"):
        hundreds.instruct_with_quote(terms, quote, **given)
    assert hundreds.settlement.read("quoteUse", quote_hash_of(quote)) == (0, False)
    assert hundreds.instruct_with_quote(terms, quote, signature=signature)

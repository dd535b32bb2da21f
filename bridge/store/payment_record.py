"""A payment, price, quote or address as a JSON document and back, exactly.

Bytes are lower-case hex, amounts are `[currency, minor units]`. Writing and reading stand side by
side per value, so that a field added to one is missed in the other by the round-trip property only
for as long as it takes to run it.
"""

import json
from dataclasses import asdict
from typing import Any, TypeAlias

from bridge.money import Amount, parse_currency
from bridge.payment import (
    Charges,
    Direction,
    Leg,
    Payment,
    PaymentId,
    PaymentState,
    Quote,
    ReturnOf,
    SettlementId,
    SignedQuote,
    Terms,
)
from bridge.quotation import Price

Document: TypeAlias = dict[str, Any]  # parsed JSON: whatever the writer beside the reader wrote


def encode_payment(payment: Payment) -> str:
    """The JSON document of a payment."""
    return _text(
        {
            "payment_id": payment.payment_id,
            "direction": payment.direction.value,
            "state": payment.state.value,
            "client": payment.client,
            "uetr": payment.uetr,
            "end_to_end_id": payment.end_to_end_id,
            "settlement_id": payment.settlement_id.hex(),
            "counterparty_lei": payment.counterparty_lei,
            "settlement_amount": _write_amount(payment.settlement_amount),
            "terms": _write_terms(payment.terms),
            "created_at": payment.created_at,
            "account_id": payment.account_id,
            "charges": None if payment.charges is None else _write_charges(payment.charges),
            "salt": _write_bytes(payment.salt),
            "signed_quote": None
            if payment.signed_quote is None
            else _write_signed_quote(payment.signed_quote),
            "reason": payment.reason,
            "transaction_hash": _write_bytes(payment.transaction_hash),
            "block_number": payment.block_number,
            "creditor_charge": None
            if payment.creditor_charge is None
            else _write_amount(payment.creditor_charge),
            "return_of": None if payment.return_of is None else asdict(payment.return_of),
        }
    )


def decode_payment(text: str) -> Payment:
    """The payment in a document that `encode_payment` wrote."""
    document: Document = json.loads(text)
    charges, signed = document["charges"], document["signed_quote"]
    creditor_charge = document.get("creditor_charge")  # payments kept before it was known have none
    return_of = document.get("return_of")  # so have those kept before returns
    return Payment(
        payment_id=PaymentId(document["payment_id"]),
        direction=Direction(document["direction"]),
        state=PaymentState(document["state"]),
        client=document["client"],
        uetr=document["uetr"],
        end_to_end_id=document["end_to_end_id"],
        settlement_id=SettlementId(bytes.fromhex(document["settlement_id"])),
        counterparty_lei=document["counterparty_lei"],
        settlement_amount=_read_amount(document["settlement_amount"]),
        terms=_read_terms(document["terms"]),
        created_at=document["created_at"],
        account_id=document["account_id"],
        charges=None if charges is None else _read_charges(charges),
        salt=_read_bytes(document["salt"]),
        signed_quote=None if signed is None else _read_signed_quote(signed),
        reason=document["reason"],
        transaction_hash=_read_bytes(document["transaction_hash"]),
        block_number=document["block_number"],
        return_of=None if return_of is None else ReturnOf(**return_of),
        creditor_charge=None if creditor_charge is None else _read_amount(creditor_charge),
    )


def encode_price(price: Price) -> str:
    """The JSON document of a price."""
    return _text(
        {
            "settlement_amount": _write_amount(price.settlement_amount),
            "prepaid": _write_amount(price.prepaid),
            "deducted": _write_amount(price.deducted),
            "charges": _write_charges(price.charges),
            "signed_quote": None
            if price.signed_quote is None
            else _write_signed_quote(price.signed_quote),
            "valid_until": price.valid_until,
        }
    )


def decode_price(text: str) -> Price:
    """The price in a document that `encode_price` wrote."""
    document: Document = json.loads(text)
    signed = document["signed_quote"]
    return Price(
        settlement_amount=_read_amount(document["settlement_amount"]),
        prepaid=_read_amount(document["prepaid"]),
        deducted=_read_amount(document["deducted"]),
        charges=_read_charges(document["charges"]),
        signed_quote=None if signed is None else _read_signed_quote(signed),
        valid_until=document["valid_until"],
    )


def encode_signed_quote(signed: SignedQuote) -> str:
    """The JSON document of a signed quote."""
    return _text(_write_signed_quote(signed))


def decode_signed_quote(text: str) -> SignedQuote:
    """The signed quote in a document that `encode_signed_quote` wrote."""
    return _read_signed_quote(json.loads(text))


def _text(document: Document) -> str:
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def _write_bytes(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _read_bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def _write_amount(amount: Amount) -> list[str | int]:
    return [amount.currency.code, amount.minor_units]


def _read_amount(document: list[Any]) -> Amount:
    code, minor_units = document
    return Amount(parse_currency(code), minor_units)


def _write_charges(charges: Charges) -> Document:
    return {
        "principal": _write_amount(charges.principal),
        "cost": _write_amount(charges.cost),
        "fee": _write_amount(charges.fee),
        "rate": charges.rate,
    }


def _read_charges(document: Document) -> Charges:
    return Charges(
        principal=_read_amount(document["principal"]),
        cost=_read_amount(document["cost"]),
        fee=_read_amount(document["fee"]),
        rate=document["rate"],
    )


def _write_terms(terms: Terms) -> Document:
    return _write_plain(asdict(terms)) | {
        "legs": [_write_plain(asdict(leg)) for leg in terms.legs],
    }


def _read_terms(document: Document) -> Terms:
    plain = _read_plain(document, {"message_commitment", "quote_hash", "supervisor_copy_hash"})
    legs = tuple(
        Leg(**_read_plain(leg, {"from_reference", "to_reference"})) for leg in document["legs"]
    )
    return Terms(**plain | {"legs": legs})


def _write_signed_quote(signed: SignedQuote) -> Document:
    return {
        "quote": _write_plain(asdict(signed.quote)),
        "quote_hash": signed.quote_hash.hex(),
        "signature": signed.signature.hex(),
    }


def _read_signed_quote(document: Document) -> SignedQuote:
    return SignedQuote(
        quote=Quote(**_read_plain(document["quote"], {"maker_from", "maker_to", "salt"})),
        quote_hash=bytes.fromhex(document["quote_hash"]),
        signature=bytes.fromhex(document["signature"]),
    )


def _write_plain(fields: Document) -> Document:
    """Flat fields with their bytes as hex."""
    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()
    }


def _read_plain(fields: Document, of_bytes: set[str]) -> Document:
    return {
        name: bytes.fromhex(value) if name in of_bytes else value for name, value in fields.items()
    }

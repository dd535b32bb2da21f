"""What a dry run pretends, as geth's users write it: state overrides by address, and block overrides."""

from __future__ import annotations

from typing import Final

from node.engine import AccountOverride, BlockOverrides
from node.errors import ParameterInvalid
from node.primitives import Address, Hash32
from node.rpc.codec.parse import (
    parse_address,
    parse_data,
    parse_number,
    parse_object,
    parse_optional_address,
    parse_quantity,
    parse_slot,
    refuse_unknown,
)
from node.rpc.json_value import Json

OVERRIDDEN_ACCOUNTS_MAX: Final = 1_024
"""Accounts that one set of overrides names."""

ACCOUNT_FIELDS: Final = (
    "balance",
    "nonce",
    "code",
    "state",
    "stateDiff",
    "movePrecompileToAddress",
)

BLOCK_FIELDS: Final = (
    "number",
    "time",
    "gasLimit",
    "feeRecipient",
    "prevRandao",
    "baseFeePerGas",
    "blobBaseFee",
    "withdrawals",
)


def parse_state_overrides(value: Json, *, name: str) -> dict[Address, AccountOverride]:
    """Overrides by address; none where the value is null."""
    if value is None:
        return {}
    fields = parse_object(value, name=name)
    if len(fields) > OVERRIDDEN_ACCOUNTS_MAX:
        raise ParameterInvalid(name, f"expected at most {OVERRIDDEN_ACCOUNTS_MAX} accounts")
    return {
        parse_address(address, name=name): _parse_account(override, name=f"{name}.{address}")
        for address, override in fields.items()
    }


def parse_block_overrides(value: Json, *, name: str) -> BlockOverrides:
    """The block's overrides; none where the value is null."""
    fields = {} if value is None else parse_object(value, name=name)
    refuse_unknown(fields, BLOCK_FIELDS, name=name)
    if fields.get("withdrawals"):
        raise ParameterInvalid(f"{name}.withdrawals", "this chain has none")

    def number(key: str, bits_max: int) -> int | None:
        given = fields.get(key)
        if given is None:
            return None
        return parse_number(given, bits_max=bits_max, name=f"{name}.{key}")

    randao = fields.get("prevRandao")
    return BlockOverrides(
        number=number("number", 63),
        timestamp=number("time", 64),
        gas_limit=number("gasLimit", 63),
        coinbase=parse_optional_address(fields.get("feeRecipient"), name=f"{name}.feeRecipient"),
        prev_randao=None
        if randao is None
        else Hash32(parse_slot(randao, name=f"{name}.prevRandao").to_bytes(32, "big")),
        base_fee_per_gas=number("baseFeePerGas", 256),
        blob_base_fee=number("blobBaseFee", 64),
    )


def _parse_account(value: Json, *, name: str) -> AccountOverride:
    fields = parse_object(value, name=name)
    refuse_unknown(fields, ACCOUNT_FIELDS, name=name)
    if fields.get("state") is not None and fields.get("stateDiff") is not None:
        raise ParameterInvalid(name, "has both 'state' and 'stateDiff'")
    balance, nonce, code = (fields.get(key) for key in ("balance", "nonce", "code"))
    moved_to = fields.get("movePrecompileToAddress")
    return AccountOverride(
        balance=None if balance is None else parse_quantity(balance, name=f"{name}.balance"),
        nonce=None if nonce is None else parse_number(nonce, bits_max=64, name=f"{name}.nonce"),
        code=None if code is None else parse_data(code, name=f"{name}.code"),
        storage=_parse_slots(fields.get("stateDiff"), name=f"{name}.stateDiff"),
        whole_storage=_parse_slots(fields.get("state"), name=f"{name}.state"),
        precompile_moved_to=parse_optional_address(
            moved_to, name=f"{name}.movePrecompileToAddress"
        ),
    )


def _parse_slots(value: Json, *, name: str) -> dict[int, int] | None:
    if value is None:
        return None
    return {
        parse_slot(slot, name=name): parse_slot(given, name=f"{name}.{slot}")
        for slot, given in parse_object(value, name=name).items()
    }

"""The payload and the answer of `eth_simulateV1`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.engine import CallRun, CallStatus, DraftBlock, DraftCall, Simulated, SimulatedBlock
from node.engine.simulation import SIMULATED_BLOCKS_MAX
from node.errors import ParameterInvalid, SimulationTooLarge
from node.history import LogRecord
from node.primitives import ZERO_ADDRESS
from node.rpc.codec.format import (
    TransactionPlace,
    format_block,
    format_data,
    format_log_record,
    format_quantity,
    format_transaction,
)
from node.rpc.codec.overrides import parse_block_overrides, parse_state_overrides
from node.rpc.codec.parse import (
    CALL_FIELDS,
    parse_access_list,
    parse_call_data,
    parse_flag,
    parse_number,
    parse_object,
    parse_optional_address,
    parse_quantity,
    refuse_unknown,
)
from node.rpc.faults import REVERTED, revert_reason
from node.rpc.json_value import Json, JsonObject
from node.transaction import decode_transaction

HALTED: Final = -32015
"""The code of a simulated call that the EVM ended."""


@dataclass(frozen=True, slots=True)
class SimulationQuery:
    """What `eth_simulateV1` asks for."""

    blocks: tuple[SimulatedBlock, ...]
    has_full_transactions: bool


def parse_simulation(value: Json, *, name: str) -> SimulationQuery:
    """The payload: blocks of calls, and what holds for all of them."""
    fields = parse_object(value, name=name)
    known = ("blockStateCalls", "traceTransfers", "validation", "returnFullTransactions")
    refuse_unknown(fields, known, name=name)
    flags = {
        key: parse_flag(fields.get(key) or False, name=f"{name}.{key}")
        for key in known
        if key != "blockStateCalls"
    }
    blocks = fields.get("blockStateCalls")
    if not isinstance(blocks, list) or not blocks:
        raise ParameterInvalid(f"{name}.blockStateCalls", "expected at least one block")
    if len(blocks) > SIMULATED_BLOCKS_MAX:
        raise SimulationTooLarge("blocks", SIMULATED_BLOCKS_MAX)
    parsed = tuple(
        _parse_block(block, flags, name=f"{name}.blockStateCalls[{position}]")
        for position, block in enumerate(blocks)
    )
    return SimulationQuery(parsed, flags["returnFullTransactions"])


def format_simulated(simulated: Simulated, *, has_full_transactions: bool) -> JsonObject:
    """One simulated block with what its calls gave."""
    block = simulated.block
    decoded = [decode_transaction(raw) for raw in block.transactions]
    transactions: list[Json] = [format_data(each.hash) for each in decoded]
    if has_full_transactions:
        header = block.header
        transactions = [
            format_transaction(
                transaction,
                run.sender,
                TransactionPlace(header.hash, header.number, header.timestamp, position),
            )
            for position, (transaction, run) in enumerate(zip(decoded, simulated.runs, strict=True))
        ]
    calls = []
    first_log_index = 0
    for position, run in enumerate(simulated.runs):
        calls.append(_format_run(run, simulated, position, first_log_index))
        first_log_index += len(run.logs)
    return {**format_block(block, transactions), "calls": calls}


def _parse_block(value: Json, flags: dict[str, bool], *, name: str) -> SimulatedBlock:
    fields = parse_object(value, name=name)
    refuse_unknown(fields, ("blockOverrides", "stateOverrides", "calls"), name=name)
    calls = fields.get("calls") or []
    if not isinstance(calls, list):
        raise ParameterInvalid(f"{name}.calls", "expected a list")
    draft = DraftBlock(
        calls=tuple(
            _parse_call(call, name=f"{name}.calls[{position}]")
            for position, call in enumerate(calls)
        ),
        overrides=parse_state_overrides(
            fields.get("stateOverrides"), name=f"{name}.stateOverrides"
        ),
        is_validated=flags["validation"],
        logs_transfers=flags["traceTransfers"],
    )
    overrides = parse_block_overrides(fields.get("blockOverrides"), name=f"{name}.blockOverrides")
    return SimulatedBlock(overrides, draft)


def _parse_call(value: Json, *, name: str) -> DraftCall:
    fields = parse_object(value, name=name)
    refuse_unknown(fields, CALL_FIELDS, name=name)

    def number(key: str, bits_max: int) -> int | None:
        given = fields.get(key)
        if given is None:
            return None
        return parse_number(given, bits_max=bits_max, name=f"{name}.{key}")

    price = number("gasPrice", 256)
    max_fee, priority_fee = number("maxFeePerGas", 256), number("maxPriorityFeePerGas", 256)
    if price is not None and (max_fee is not None or priority_fee is not None):
        raise ParameterInvalid(name, "both gasPrice and a fee per gas are given")
    return DraftCall(
        sender=parse_optional_address(fields.get("from"), name=f"{name}.from") or ZERO_ADDRESS,
        to=parse_optional_address(fields.get("to"), name=f"{name}.to"),
        data=parse_call_data(fields, name=name),
        value=parse_quantity(fields.get("value") or "0x0", name=f"{name}.value"),
        gas_limit=number("gas", 63),
        nonce=number("nonce", 64),
        max_fee_per_gas=price or max_fee or 0,
        max_priority_fee_per_gas=price or priority_fee or 0,
        access_list=parse_access_list(fields.get("accessList"), name=f"{name}.accessList"),
    )


def _format_run(
    run: CallRun, simulated: Simulated, position: int, first_log_index: int
) -> JsonObject:
    header = simulated.block.header
    outcome = run.outcome
    transaction_hash = decode_transaction(run.raw).hash
    formatted: JsonObject = {
        "status": format_quantity(int(run.receipt.succeeded)),
        "returnData": format_data(outcome.data if run.receipt.succeeded else b""),
        "gasUsed": format_quantity(outcome.gas_used),
        "maxUsedGas": format_quantity(outcome.gas_used + outcome.gas_refunded),
        "logs": [
            format_log_record(
                LogRecord(
                    log=log,
                    number=header.number,
                    block_hash=header.hash,
                    timestamp=header.timestamp,
                    transaction_hash=transaction_hash,
                    transaction_position=position,
                    log_index=first_log_index + index,
                )
            )
            for index, log in enumerate(run.logs)
        ],
    }
    match outcome.status:
        case CallStatus.SUCCEEDED:
            pass
        case CallStatus.REVERTED:
            reason = revert_reason(outcome.data)
            formatted["error"] = {
                "code": REVERTED,
                "message": f"execution reverted: {reason}" if reason else "execution reverted",
                "data": format_data(outcome.data),
            }
        case CallStatus.HALTED:
            message = f"vm execution error: {outcome.halt_reason}"
            formatted["error"] = {"code": HALTED, "message": message}
    return formatted

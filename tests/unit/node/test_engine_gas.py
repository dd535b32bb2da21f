"""Gas and what lives for one transaction, by the numbers that mainnet gives.

Each figure is summed here from the EIPs' own constants: EIP-2929 (cold and warm), EIP-3529 (refunds),
EIP-1153 (transient storage).
"""

from __future__ import annotations

from node.block import Receipt
from node.engine import HISTORY_ADDRESS, GenesisAccount, PyEvmEngine
from node.primitives import Address
from node.store import MemoryState
from support.transactions import ALICE, SINK, Draft, block_env

CONTRACT = Address(b"\xc0" * 20)
TRANSACTION = 21_000
PUSH = 3
POP = 2
COLD_SLOT = 2_100
WARM_SLOT = 100
COLD_ACCOUNT = 2_600
CLEARED_SLOT = 5_000
CLEARED_SLOT_REFUND = 4_800

# Reads slot 0, slot 0 again, and the balance of SINK.
TOUCH_CODE = bytes.fromhex("60005450" + "60005450" + "73" + SINK.hex() + "3150" + "00")
TOUCH_GAS = 3 * (PUSH + POP) + COLD_SLOT + WARM_SLOT + COLD_ACCOUNT
# Logs transient slot 0, puts 42 there, logs it again.
LOG_TRANSIENT = "60005c60005260206000a0"
TRANSIENT_CODE = bytes.fromhex(LOG_TRANSIENT + "602a60005d" + LOG_TRANSIENT + "00")


def run(account: GenesisAccount, *, at: Address = CONTRACT, count: int = 2) -> list[Receipt]:
    """The receipts of one block in which Alice calls the contract `count` times."""
    engine = PyEvmEngine(MemoryState())
    loaded = engine.load_genesis({at: account})
    engine.commit(loaded.handle)
    raws = [Draft(to=at, nonce=nonce).signed_by(ALICE) for nonce in range(count)]
    included = engine.execute(block_env(), loaded.state_root, raws).included
    return [each.receipt for each in included]


def test_a_slot_and_an_account_are_cold_again_in_every_transaction() -> None:
    receipts = run(GenesisAccount(nonce=1, code=TOUCH_CODE))
    assert [receipt.gas_used for receipt in receipts] == [TRANSACTION + TOUCH_GAS] * 2


def test_what_the_system_call_touched_is_cold_in_the_first_transaction() -> None:
    receipts = run(GenesisAccount(nonce=1, code=TOUCH_CODE), at=HISTORY_ADDRESS)
    assert [receipt.gas_used for receipt in receipts] == [TRANSACTION + TOUCH_GAS] * 2


def test_a_cleared_slot_gives_back_its_refund_once() -> None:
    account = GenesisAccount(nonce=1, code=bytes.fromhex("6000600555" + "00"), storage={5: 7})
    again = TRANSACTION + 2 * PUSH + COLD_SLOT + WARM_SLOT
    first = TRANSACTION + 2 * PUSH + CLEARED_SLOT - CLEARED_SLOT_REFUND
    assert [receipt.gas_used for receipt in run(account)] == [first, again]


def test_refunds_are_at_most_a_fifth_of_the_gas() -> None:
    clear_two = bytes.fromhex("6000600555" + "6000600655" + "00")
    account = GenesisAccount(nonce=1, code=clear_two, storage={5: 7, 6: 7})
    spent = TRANSACTION + 4 * PUSH + 2 * CLEARED_SLOT
    assert spent // 5 < 2 * CLEARED_SLOT_REFUND
    assert run(account, count=1)[0].gas_used == spent - spent // 5


def test_transient_storage_ends_with_its_transaction() -> None:
    for receipt in run(GenesisAccount(nonce=1, code=TRANSIENT_CODE)):
        assert [int.from_bytes(log.data, "big") for log in receipt.logs] == [0, 42]


def test_transient_storage_of_the_system_call_ends_with_it() -> None:
    for receipt in run(GenesisAccount(nonce=1, code=TRANSIENT_CODE), at=HISTORY_ADDRESS):
        assert [int.from_bytes(log.data, "big") for log in receipt.logs] == [0, 42]

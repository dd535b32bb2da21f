"""Every refusal inside a decided block: what no honest proposer would propose is decided all the same.

For each reason to leave a transaction out, a block is decided that holds it between two good ones. It gets its code,
the others are included, the chain goes on, and another node says the very same.

Cites docs/spec/node.md: N-6, N-10, N-11, N-116.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest

from node.consensus.application import encode_time_record
from node.engine import GenesisAccount, SkipReason
from node.errors import ProposalRejected
from node.primitives import Address, keccak
from node.store import MemoryState
from node.transaction import INIT_CODE_BYTES_MAX, TRANSACTION_BYTES_MAX
from support.core import Core, open_core
from support.settlement_network import ALPHA, BETA, GENESIS_TIME, MAKER, OPERATOR
from support.transactions import ALICE, Draft, block_env

FIRST: Final = ALPHA.operating
LAST: Final = BETA.operating
CREATOR: Final = OPERATOR.operating
CONTRACT_WITH_A_KEY: Final = MAKER.operating
FAULTY: Final = Address(b"\xfa" * 20)
FAULTY_CODE: Final = b"\x00fault"

ACCOUNTS: Final = {
    CONTRACT_WITH_A_KEY.address: GenesisAccount(nonce=0, code=b"\x00"),
    FAULTY: GenesisAccount(nonce=1, code=FAULTY_CODE),
}


class FaultyState(MemoryState):
    """A store over which the engine fails, on every node, when it reads one contract's code."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        if key == keccak(FAULTY_CODE):
            raise ValueError("a fault that every node has")
        return super().get(key)


@dataclass(frozen=True, slots=True)
class Case:
    """A transaction that is left out, and what it takes to stand before it."""

    bad: bytes
    before: tuple[bytes, ...] = ()


ALL_GAS: Final = Draft(to=None, data=b"\xfe", gas_limit=16_000_000)
"""A creation that halts at once and so uses all its gas."""

CASES: Final[dict[SkipReason, Case]] = {
    SkipReason.MALFORMED: Case(b"\xc0"),
    SkipReason.TOO_LARGE: Case(b"\x02" + bytes(TRANSACTION_BYTES_MAX)),
    SkipReason.TYPE_UNSUPPORTED: Case(b"\x03" + Draft().signed_by(CREATOR)[1:]),
    SkipReason.NOT_REPLAY_PROTECTED: Case(
        Draft(transaction_type=0, chain_id=None).signed_by(CREATOR)
    ),
    SkipReason.WRONG_CHAIN_ID: Case(Draft(chain_id=1).signed_by(CREATOR)),
    SkipReason.SIGNATURE_INVALID: Case(Draft().with_signature(y_parity=0, r=5, s=1)),
    SkipReason.HIGH_S: Case(Draft().signed_by(CREATOR, high_s=True)),
    SkipReason.NONCE_TOO_HIGH: Case(Draft(nonce=2**64 - 1).signed_by(CREATOR)),
    SkipReason.FEE_CAP_BELOW_PRIORITY_FEE: Case(
        Draft(max_priority_fee_per_gas=1).signed_by(CREATOR)
    ),
    SkipReason.GAS_LIMIT_TOO_HIGH: Case(Draft(gas_limit=16_000_001).signed_by(CREATOR)),
    SkipReason.INIT_CODE_TOO_LARGE: Case(
        Draft(to=None, data=bytes(INIT_CODE_BYTES_MAX + 1), gas_limit=16_000_000).signed_by(CREATOR)
    ),
    SkipReason.GAS_BELOW_INTRINSIC: Case(Draft(gas_limit=20_999).signed_by(CREATOR)),
    SkipReason.NONCE_TOO_LOW: Case(Draft(data=b"\x01").signed_by(FIRST)),
    SkipReason.NONCE_GAP: Case(Draft(nonce=1).signed_by(CREATOR)),
    SkipReason.INSUFFICIENT_FUNDS: Case(Draft(value=1).signed_by(CREATOR)),
    SkipReason.SENDER_HAS_CODE: Case(Draft().signed_by(CONTRACT_WITH_A_KEY)),
    SkipReason.SENDER_NOT_PERMITTED: Case(Draft().signed_by(ALICE)),
    SkipReason.BLOCK_GAS_EXHAUSTED: Case(
        replace(ALL_GAS, nonce=1).signed_by(CREATOR), before=(ALL_GAS.signed_by(CREATOR),)
    ),
    SkipReason.EXECUTION_IMPOSSIBLE: Case(Draft(to=FAULTY).signed_by(CREATOR)),
}

IN_NO_BLOCK: Final = {SkipReason.FEE_CAP_BELOW_BASE_FEE: "the base fee of every block is 0"}


def test_every_reason_has_a_case() -> None:
    assert set(SkipReason) == CASES.keys() | IN_NO_BLOCK.keys()


@pytest.mark.parametrize("reason", CASES, ids=lambda reason: reason.name)
def test_what_no_block_may_hold_is_left_out_and_the_rest_is_executed(
    tmp_path: Path, reason: SkipReason
) -> None:
    """N-116."""
    state, case = FaultyState(), CASES[reason]
    core = open_core(tmp_path / "chain", state=state, accounts=ACCOUNTS)
    good = [Draft().signed_by(FIRST), *case.before, Draft().signed_by(LAST)]
    decided = [encode_time_record(GENESIS_TIME), *good[:-1], case.bad, good[-1]]
    expected = [0] * (len(decided) - 2) + [reason, 0]
    assert_no_honest_node_would_propose(core, decided, reason)
    finalized = core.application.finalize_block(1, decided)
    assert [result.code for result in finalized.results] == expected
    assert core.another_node(state).finalize_block(1, decided) == finalized
    core.application.commit()
    block = core.history.block(1)
    assert block is not None
    assert list(block.transactions) == good
    assert block.header.hash == finalized.app_hash
    assert core.history.transaction(keccak(case.bad)) is None
    following = Draft(nonce=1).signed_by(LAST)
    assert core.finalize(encode_time_record(GENESIS_TIME), following) == (0, 0)
    core.store.close()


def assert_no_honest_node_would_propose(
    core: Core, decided: list[bytes], reason: SkipReason
) -> None:
    """The block is refused as a proposal, unless only running it shows the fault."""
    if reason is SkipReason.EXECUTION_IMPOSSIBLE:
        return
    proposed = core.application.prepare_proposal(decided[1:], 10_000_000)
    assert decided[-2] not in proposed
    with pytest.raises(ProposalRejected):
        core.application.process_proposal(decided)


def test_a_block_of_nothing_but_refusals_is_no_block(tmp_path: Path) -> None:
    """N-3."""
    state = FaultyState()
    core = open_core(tmp_path / "chain", state=state, accounts=ACCOUNTS)
    alone: list[Callable[[SkipReason], bool]] = [
        lambda reason: not CASES[reason].before,
        lambda reason: reason is not SkipReason.NONCE_TOO_LOW,
    ]
    reasons = [reason for reason in CASES if all(holds(reason) for holds in alone)]
    decided = [CASES[reason].bad for reason in reasons]
    assert core.finalize(*decided) == tuple(reasons)
    assert core.history.head().number == 0
    core.store.close()


def test_a_fee_cap_below_a_base_fee_would_be_left_out_if_there_were_one(tmp_path: Path) -> None:
    core = open_core(tmp_path / "chain")
    env = replace(block_env(), base_fee_per_gas=1)
    root = core.history.head().state_root
    executed = core.engine.execute(env, root, [Draft().signed_by(FIRST)])
    assert [item.reason for item in executed.skipped] == [SkipReason.FEE_CAP_BELOW_BASE_FEE]
    core.store.close()

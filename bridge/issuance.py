"""An issuance: central-bank money that enters or leaves the chain for one participant; pure.

The central bank's bridge keeps one record per reference, and the reference is used once on the
chain, for ever. To issue, the participant's RTGS account is debited *before* the mint; to redeem,
reserves are released only after a final burn.

    REQUESTED --reserves debited--> FUNDED --final mint--> ISSUED
        |                              '------ refused ---> REFUSED
        '-- refused --> REFUSED
    REDEEMING --final burn--> REDEEMED          (REDEEMING --refused--> REFUSED)

A refusal is somebody's word, the chain's is a fact: a mint or a burn that is final after all takes
a refused order to ISSUED or REDEEMED.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, unique

from bridge.errors import UnexpectedIssuance
from bridge.money import Amount, Currency


@unique
class IssuanceState(Enum):
    """Where an issuance stands; see the module docstring."""

    REQUESTED = "requested"
    FUNDED = "funded"
    ISSUED = "issued"
    REFUSED = "refused"
    REDEEMING = "redeeming"
    REDEEMED = "redeemed"


@dataclass(frozen=True, slots=True)
class Issuance:
    """One order to issue or redeem.

    `reference` is the 32-byte key on the chain; `account_reference` and `account_address` name the
    settlement account the tokens go to or come from. `entry_id` is the journal entry of the RTGS
    movement. `reason` is an ISO 20022 status reason code, where it was refused.
    """

    reference: bytes
    participant_lei: str
    amount: Amount
    account_reference: bytes
    account_address: bytes
    state: IssuanceState
    created_at: int
    entry_id: str | None = None
    reason: str | None = None
    transaction_hash: bytes | None = None

    @property
    def currency(self) -> Currency:
        """The currency of the tokens."""
        return self.amount.currency


_NEXT: Mapping[IssuanceState, frozenset[IssuanceState]] = {
    IssuanceState.REQUESTED: frozenset({IssuanceState.FUNDED, IssuanceState.REFUSED}),
    IssuanceState.FUNDED: frozenset({IssuanceState.ISSUED, IssuanceState.REFUSED}),
    IssuanceState.ISSUED: frozenset(),
    IssuanceState.REFUSED: frozenset({IssuanceState.ISSUED, IssuanceState.REDEEMED}),
    IssuanceState.REDEEMING: frozenset({IssuanceState.REDEEMED, IssuanceState.REFUSED}),
    IssuanceState.REDEEMED: frozenset(),
}


def advance(issuance: Issuance, state: IssuanceState) -> Issuance:
    """The issuance in its next state; raises `UnexpectedIssuance` for a step that cannot follow."""
    if state not in _NEXT[issuance.state]:
        raise UnexpectedIssuance(
            reference=issuance.reference.hex(), state=issuance.state.value, wanted=state.value
        )
    return replace(issuance, state=state)

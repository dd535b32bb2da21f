"""The attesting process: reads RTGS by itself and states the reserves on the chain.

It shares no key and no memory with the issuing process: it opens the central bank's database read
only, signs with its own key, and keeps its own transactions. A statement is made whenever the
reserves set aside differ from what the chain last heard, or when half of its validity has passed.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import rfc8785

from bridge import chart
from bridge.chain import (
    Attestation,
    Call,
    ChainClient,
    Submitter,
    attestation_hash,
    token_call,
)
from bridge.keys import TransactionSigner
from bridge.money import Currency
from bridge.store import Store

ATTEST_GAS_LIMIT: Final = 300_000


@dataclass(frozen=True, slots=True)
class Attester:
    """States one currency's reserves.

    `rtgs` is the central bank's store, opened read only; `submitter` writes to the attester's own.
    """

    currency: Currency
    validity_seconds: int
    chain: ChainClient
    rtgs: Store
    submitter: Submitter
    signer: TransactionSigner
    clock: Callable[[], int]

    def step(self) -> bool:
        """Make one statement if one is due; whether one was made or sent again."""
        if self.submitter.settle_outstanding():
            return self.submitter.resend_outstanding()
        attested = self.chain.latest_attestation(self.currency.numeric)
        reserves, statement_hash = self._read_rtgs()
        now = self.clock()
        stale = attested.valid_until < now + self.validity_seconds // 2
        if attested.amount == reserves and attested.sequence > 0 and not stale:
            return False
        attestation = Attestation(
            sequence=attested.sequence + 1,
            as_of=now,
            valid_until=now + self.validity_seconds,
            amount=reserves,
            statement_hash=statement_hash,
        )
        self._submit(attestation)
        return True

    def _read_rtgs(self) -> tuple[int, bytes]:
        """The reserves set aside, in minor units, and the SHA-256 of the statement they stand in."""
        with self.rtgs.reading() as work:
            balances = [
                work.ledger.balance(account.account_id) for account in work.ledger.accounts()
            ]
        statement = {
            balance.account.account_id: str(balance.ledger.minor_units) for balance in balances
        }
        reserves = int(statement[chart.tokens_outstanding(self.currency)])
        return reserves, hashlib.sha256(rfc8785.dumps(statement)).digest()

    def _submit(self, attestation: Attestation) -> None:
        digest = attestation_hash(attestation, self.currency.numeric, self.chain.chain_id)
        signature = self.signer.sign_digest(digest)
        call = token_call(self.currency.numeric, "attest", (attestation, signature))
        self.submitter.submit(
            Call(
                purpose=f"attest:{attestation.sequence}:{digest.hex()}",
                to=call.to,
                data=call.data,
                gas_limit=ATTEST_GAS_LIMIT,
                payment_id=None,
            )
        )

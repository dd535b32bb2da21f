"""The attesting process: reads RTGS by itself and states the reserves on the chain.

It shares no key and no memory with the issuing process: it opens the central bank's database read
only, signs with its own key, and keeps its own transactions. A statement is made whenever the
reserves set aside differ from what the chain last heard, or when half of its validity has passed.
A burn lowers what the chain heard before the books release the reserves, so nothing is stated from
books that have not seen the newest change: it would raise the figure again. For the same reason a
statement is as of the block that the books have followed to: what is burnt after it is taken off it.
"""

import hashlib
import threading
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
from bridge.errors import TransactionRefused, Unavailable
from bridge.keys import TransactionSigner
from bridge.money import Currency
from bridge.store import Store
from bridge.telemetry import get_logger

ATTEST_GAS_LIMIT: Final = 300_000

ATTEST_SECONDS: Final = 0.2
"""How often the attester looks whether a statement is due."""


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

    def run(self, stop: threading.Event) -> None:
        """Keep the reserves attested until `stop` is set, whatever the node says meanwhile."""
        while not stop.is_set():
            try:
                self.step()
            except (Unavailable, TransactionRefused) as error:
                get_logger().warning("not_attested", error=str(error))
            stop.wait(ATTEST_SECONDS)

    def step(self) -> bool:
        """Make one statement if one is due; whether one was made or sent again."""
        if self.submitter.settle_outstanding():
            return self.submitter.resend_outstanding()
        numeric = self.currency.numeric
        attested = self.chain.latest_attestation(numeric)
        number, reserves, statement_hash = self._read_rtgs()
        if attested != self.chain.latest_attestation(numeric, block_number=number):
            return False
        now = self.clock()
        block = self.chain.block(number)
        if block is None:
            return False
        stale = attested.valid_until < now + self.validity_seconds // 2
        if attested.amount == reserves and attested.sequence > 0 and not stale:
            return False
        attestation = Attestation(
            sequence=attested.sequence + 1,
            # The last block of an idle chain may be older than a statement may be.
            as_of=max(block.ref.timestamp, now - self.validity_seconds),
            valid_until=now + self.validity_seconds,
            amount=reserves,
            statement_hash=statement_hash,
        )
        self._submit(attestation)
        return True

    def _read_rtgs(self) -> tuple[int, int, bytes]:
        """What the books say: followed to which block, the reserves set aside in minor units, and
        the SHA-256 of the statement they stand in.

        Raises `ChainNotFollowed` before the first block.
        """
        with self.rtgs.reading() as work:
            number = work.chain_log.position().number
            balances = work.ledger.balances()
        statement = {
            balance.account.account_id: str(balance.ledger.minor_units) for balance in balances
        }
        reserves = int(statement[chart.tokens_outstanding(self.currency)])
        return number, reserves, hashlib.sha256(rfc8785.dumps(statement)).digest()

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

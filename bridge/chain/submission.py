"""Our transactions on their way to the chain: signed once, kept, sent until they are final.

    prepare   nonce, signed bytes and hash, in one database transaction, before the first send
    send      the kept bytes, as often as it takes
    settle    the receipt, by the follower with its block (or here, for a process without one)

Whatever dies in between, recovery sends the very same bytes, so one purpose has at most one
transaction on the chain.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from eth_hash.auto import keccak

from bridge.chain.client import ChainClient
from bridge.errors import NonceTaken, TransactionRefused
from bridge.failpoint import Failpoint, visit
from bridge.keys import TransactionSigner
from bridge.store import OutgoingTransaction, Store, TransactionState

NO_OP_GAS: Final = 21_000
"""Gas of a transaction that calls nothing."""

_DYNAMIC_FEE_TYPE: Final = 2


@dataclass(frozen=True, slots=True)
class Call:
    """A contract call to be sent once. `purpose` is the key of the effect it carries out."""

    purpose: str
    to: bytes
    data: bytes
    gas_limit: int
    payment_id: str | None = None


class Submitter:
    """Signs with one key and sends through one node; safe between threads."""

    def __init__(
        self,
        store: Store,
        client: ChainClient,
        signer: TransactionSigner,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._client = client
        self._signer = signer
        self._clock = clock
        self._signing = threading.Lock()

    def submit(self, call: Call) -> OutgoingTransaction:
        """The transaction that carries out a call, signed if it was not and sent if it is not final.

        Raises as `ChainClient.send_raw` does; what was signed stays kept and will be sent again.
        """
        transaction = self.prepare(call)
        if transaction.state is TransactionState.PREPARED:
            self._send(transaction)
        return transaction

    def prepare(self, call: Call) -> OutgoingTransaction:
        """The kept transaction for a call's purpose, signed and kept now if there was none."""
        with self._signing:
            with self._store.reading() as work:
                known = work.transactions.by_purpose(call.purpose)
            if known is not None:
                return known
            chain_nonce = self._client.nonce(self._signer.address)
            with self._store.unit_of_work() as work:
                nonce = work.transactions.next_nonce(self._signer.address, chain_nonce)
                transaction = self._sign(call, nonce)
                work.transactions.add(transaction)
            return transaction

    def consume(self, transaction_hash: bytes) -> None:
        """Use up the nonce of an outstanding transaction by a no-op, signed once and kept before it is sent.

        Nothing happens when the transaction is final by now. Raises as `ChainClient.send_raw` does.
        """
        purpose = f"consume:{transaction_hash.hex()}"
        with self._signing:
            with self._store.reading() as work:
                replaced = work.transactions.get(transaction_hash)
                known = work.transactions.by_purpose(purpose)
            if replaced is None or replaced.state is not TransactionState.PREPARED:
                return
            if known is None:
                call = Call(purpose, self._signer.address, b"", NO_OP_GAS)
                known = replace(self._sign(call, replaced.nonce), replaces=replaced.hash)
                with self._store.unit_of_work() as work:
                    work.transactions.add(known)
        self._send(known)

    def resend_outstanding(self, older_than_seconds: int = 0) -> bool:
        """Send everything that is not final again, lowest nonce first; whether there was anything.

        Nothing is sent while all of it was signed within the last `older_than_seconds`. A transaction
        the node refuses is passed over: the ones behind it may be another sender's.
        """
        with self._store.reading() as work:
            outstanding = work.transactions.outstanding()
        latest = self._clock() - older_than_seconds
        if not any(transaction.created_at <= latest for transaction in outstanding):
            return False
        for transaction in outstanding:
            try:
                self._send(transaction)
            except TransactionRefused:
                continue
        return bool(outstanding)

    def settle_outstanding(self) -> bool:
        """Ask for the receipts of what is outstanding and record them; whether some still is.

        For a process without a follower; a follower records receipts with their block.
        """
        with self._store.reading() as work:
            outstanding = work.transactions.outstanding()
        receipts = [self._client.receipt(transaction.hash) for transaction in outstanding]
        final = [receipt for receipt in receipts if receipt is not None]
        if final:
            with self._store.unit_of_work() as work:
                for receipt in final:
                    work.transactions.finalise(
                        receipt.transaction_hash,
                        block_number=receipt.block_number,
                        succeeded=receipt.succeeded,
                    )
        return len(final) < len(outstanding)

    def _send(self, transaction: OutgoingTransaction) -> None:
        visit(Failpoint.SENDING)
        try:
            self._client.send_raw(
                transaction.raw, sender=transaction.sender, nonce=transaction.nonce
            )
        except NonceTaken:
            if not self._is_displaced(transaction):
                raise
        visit(Failpoint.SENT)

    def _is_displaced(self, transaction: OutgoingTransaction) -> bool:
        """Whether the other transaction at this nonce is in a block, which the follower is yet to read."""
        with self._store.reading() as work:
            signed = work.transactions.at_nonce(transaction.sender, transaction.nonce)
        others = (each.hash for each in signed if each.hash != transaction.hash)
        return any(self._client.receipt(each) is not None for each in others)

    def _sign(self, call: Call, nonce: int) -> OutgoingTransaction:
        raw = self._signer.sign_transaction(
            {
                "type": _DYNAMIC_FEE_TYPE,
                "chainId": self._client.chain_id,
                "nonce": nonce,
                "to": call.to,
                "value": 0,
                "data": f"0x{call.data.hex()}",
                "gas": call.gas_limit,
                "maxFeePerGas": 0,
                "maxPriorityFeePerGas": 0,
            }
        )
        return OutgoingTransaction(
            hash=keccak(raw),
            sender=self._signer.address,
            nonce=nonce,
            raw=raw,
            purpose=call.purpose,
            payment_id=call.payment_id,
            created_at=self._clock(),
        )

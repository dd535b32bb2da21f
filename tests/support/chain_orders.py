"""Orders that institutions sign and send to a real node, as their bridges do."""

import time
from typing import Final

from eth_account import Account as Wallet
from eth_hash.auto import keccak

from bridge.chain import Call, ChainClient, ContractCall, Submitter, settlement_call
from bridge.keys import KeystoreSigner
from bridge.payment import Leg, Terms
from bridge.store import OutgoingTransaction, Store
from support.settlement_network import ALPHA, BETA, Institution

GAS: Final = 800_000
SECONDS_MAX: Final = 60


def signer_of(institution: Institution, kind: str = "operating") -> KeystoreSigner:
    return KeystoreSigner(Wallet.from_key(institution.account(kind).secret))


def submitter_of(store: Store, client: ChainClient, institution: Institution) -> Submitter:
    return Submitter(store, client, signer_of(institution), lambda: int(time.time()))


def order(purpose: str, call: ContractCall, payment_id: str | None = None) -> Call:
    return Call(purpose, call.to, call.data, GAS, payment_id)


def settle(submitter: Submitter) -> None:
    """Wait until nothing is outstanding."""
    deadline = time.monotonic() + SECONDS_MAX
    while submitter.settle_outstanding():
        assert time.monotonic() < deadline, "a transaction stays without a receipt"
        time.sleep(0.02)


def expire_call(payment_id: bytes) -> ContractCall:
    """A call that reverts: nobody has instructed such a payment."""
    return settlement_call("expire", (payment_id, plain_terms(1)))


def plain_terms(amount: int) -> Terms:
    now = int(time.time())
    return Terms(
        legs=(Leg("EUR", ALPHA.reference(), BETA.reference(), amount),),
        message_commitment=keccak(b"message"),
        quote_hash=bytes(32),
        accept_by=now + 600,
        settle_by=now + 1_200,
    )


def wait_for(client: ChainClient, transaction: OutgoingTransaction) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while client.receipt(transaction.hash) is None:
        assert time.monotonic() < deadline, "a transaction stays without a receipt"
        time.sleep(0.02)

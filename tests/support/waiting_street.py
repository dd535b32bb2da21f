"""Three banks and a liquidity service on a real node, through the bridge's own end of the chain."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eth_account import Account as Wallet
from eth_hash.auto import keccak

from bridge.chain import (
    Attestation,
    Call,
    ChainClient,
    ContractCall,
    Submitter,
    attestation_hash,
    settlement_call,
    settlement_id,
    token_call,
    uetr_hash,
)
from bridge.chain.encoding import SETTLEMENT
from bridge.keys import KeystoreSigner
from bridge.payment import Leg, Terms
from bridge.resolving import Resolver
from bridge.store import Store
from support.node_process import NodeProcess
from support.settlement_network import EUROSYSTEM, OPERATOR, Institution
from support.transactions import CHAIN_ID

EUR_NUMERIC: Final = 978
GAS: Final = 1_500_000
SECONDS_MAX: Final = 30
SETTLED: Final = 3
QUEUED: Final = 2
EXPIRED: Final = 6
HOUR: Final = 3_600


def utc_seconds() -> int:
    return int(time.time())


def signer_of(institution: Institution, kind: str = "operating") -> KeystoreSigner:
    return KeystoreSigner(Wallet.from_key(institution.account(kind).secret))


@dataclass(slots=True)
class WaitingStreet:
    """Alpha, Beta and Maker with euros, and what a test does with them."""

    node: NodeProcess
    folder: Path
    count: int = 0
    stores: dict[str, Store] = field(default_factory=dict)

    @property
    def client(self) -> ChainClient:
        return ChainClient(self.node.url, CHAIN_ID)

    def resolver(
        self,
        name: str = "liquidity",
        *,
        client: ChainClient | None = None,
        clock: Callable[[], int] = utc_seconds,
    ) -> Resolver:
        """A liquidity service over the store of that name, as it starts."""
        signer = signer_of(OPERATOR)
        chain, store = client or self.client, self._store(name)
        resolver = Resolver(
            store=store,
            chain=chain,
            submitter=Submitter(store, chain, signer, clock),
            address=signer.address,
            clock=clock,
        )
        resolver.restore()
        return resolver

    def serve(self, resolver: Resolver, until: Callable[[], bool]) -> None:
        """Let it follow and take turns until something holds."""
        deadline = time.monotonic() + SECONDS_MAX
        while not until():
            assert time.monotonic() < deadline, "it did not come to that"
            resolver.catch_up()
            resolver.turn()
            time.sleep(0.05)

    def await_that(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that somebody else brings about."""
        deadline = time.monotonic() + SECONDS_MAX
        while not holds():
            assert time.monotonic() < deadline, "it did not come to that"
            time.sleep(0.1)

    def idle(self, resolver: Resolver, seconds: float) -> int:
        """Let it follow and take turns for a while; how many transactions it sent."""
        deadline, sent = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            resolver.catch_up()
            sent += resolver.turn()
            time.sleep(0.05)
        return sent

    def fund(self, amounts: dict[Institution, int]) -> None:
        """Attest enough reserves and issue these euros."""
        now, latest = utc_seconds(), self.client.latest_attestation(EUR_NUMERIC)
        supply = self.client.total_supply(EUR_NUMERIC) + sum(amounts.values())
        attestation = Attestation(
            latest.sequence + 1, now, now + HOUR, supply, keccak(b"statement")
        )
        digest = attestation_hash(attestation, EUR_NUMERIC, CHAIN_ID)
        signature = signer_of(EUROSYSTEM, "attesting").sign_digest(digest)
        calls = [token_call(EUR_NUMERIC, "attest", (attestation, signature))]
        calls += [
            token_call(EUR_NUMERIC, "issue", (self._fresh(), each.settlement.address, amount))
            for each, amount in amounts.items()
        ]
        self.send(EUROSYSTEM, calls)

    def terms(
        self,
        payer: Institution,
        payee: Institution,
        amount: int,
        *,
        settle_seconds: int = HOUR,
        not_before: int = 0,
        flags: int = 0,
    ) -> Terms:
        """Terms of a payment in euro of one leg."""
        now = utc_seconds()
        return Terms(
            legs=(Leg("EUR", payer.reference(), payee.reference(), amount),),
            message_commitment=keccak(b"message"),
            quote_hash=bytes(32),
            accept_by=now + settle_seconds,
            settle_by=now + settle_seconds,
            not_before=not_before,
            flags=flags,
        )

    def pay(self, *payments: tuple[Institution, Institution, Terms]) -> list[bytes]:
        """Instruct payments and have them accepted, in this order; their ids."""
        names, accepts = [], []
        for payer, payee, terms in payments:
            uetr = f"00000000-0000-4000-8000-{int.from_bytes(self._fresh()[:5], 'big'):012d}"
            name = settlement_id(payer.lei.decode(), uetr)
            names.append(bytes(name))
            self.send(payer, [settlement_call("instruct", (uetr_hash(uetr), terms))])
            accepts.append((payee, settlement_call("accept", (name, terms, 0, 0))))
        for payee, accept in accepts:
            self.send(payee, [accept])
        return names

    def send(self, institution: Institution, calls: list[ContractCall]) -> None:
        """Send calls from an operating account and wait until all are final."""
        store = self._store(institution.name)
        submitter = Submitter(store, self.client, signer_of(institution), utc_seconds)
        for call in calls:
            submitter.submit(Call(self._fresh().hex(), call.to, call.data, GAS))
        deadline = time.monotonic() + SECONDS_MAX
        while submitter.settle_outstanding():
            assert time.monotonic() < deadline, "a transaction stays without a receipt"
            time.sleep(0.02)

    def payment(self, name: bytes) -> tuple[object, ...]:
        """What the contract keeps of a payment."""
        call = settlement_call("payment", (name,))
        (kept,) = self.client.call(SETTLEMENT, call, "payment")
        found: tuple[object, ...] = kept
        return found

    def states(self, names: list[bytes]) -> list[object]:
        """The state of each payment."""
        return [self.payment(name)[1] for name in names]

    def balance(self, institution: Institution) -> int:
        """Euros on a settlement account."""
        return self.client.balance_of(EUR_NUMERIC, institution.settlement.address)

    def close(self) -> None:
        """Close every store."""
        for store in self.stores.values():
            store.close()

    def _store(self, name: str) -> Store:
        if name not in self.stores:
            self.stores[name] = Store.open(self.folder / f"{name}.sqlite")
        return self.stores[name]

    def _fresh(self) -> bytes:
        self.count += 1
        return keccak(f"{self.folder}/{self.count}".encode())

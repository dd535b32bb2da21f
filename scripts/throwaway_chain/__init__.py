"""A solo chain in this process, with the contracts and a few institutions, that is thrown away afterwards.

It is the real thing without its processes: genesis from a network file, durable stores, the pool, and the solo engine
driving the consensus application with its permissioning. Whoever wants a figure or a trial of the settlement contracts
opens one in a folder, queues calls and makes blocks.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import decode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from bridge.chain.encoding import (
    Attestation,
    ContractCall,
    attestation_hash,
    settlement_call,
    token_call,
)
from node import genesis
from node.app.directory import open_chain, opened_stores
from node.app.process import SystemClock
from node.chain import Tip
from node.config import parse_network
from node.consensus.application import Application
from node.consensus.intake import Intake
from node.consensus.observer import BlockObserver, Unobserved
from node.consensus.solo import SoloEngine
from node.engine import BlockEnv, Call, PyEvmEngine
from node.history import History
from node.pool import Pool
from node.primitives import Address, Hash32, keccak
from node.specification import Rules
from node.store import MemoryState, PoolStore

CHAIN_ID: Final = 2_002_998
BLOCK_GAS: Final = 30_000_000
TRANSACTION_GAS: Final = 16_000_000
CALL_GAS: Final = 800_000
DEADLINE_SECONDS: Final = 86_400
IN_FLIGHT_MAX: Final = 500


class CallFailed(Exception):
    """A transaction that was expected to succeed did not."""


def lei_of(stem: str) -> str:
    """A LEI: 18 given characters and the check digits they need (ISO 17442)."""
    number = int("".join(str(int(character, 36)) for character in stem + "00"))
    return f"{stem}{98 - number % 97:02d}"


@dataclass(frozen=True)
class Institution:
    """A participant of the throwaway network; keys and names follow from its number and label."""

    number: int
    label: str
    roles: tuple[str, ...]
    kinds: tuple[str, ...] = ("operating", "settlement", "quoting")

    @cached_property
    def lei(self) -> str:
        """Its LEI, with the check digits of ISO 17442."""
        return lei_of(f"{'THROWAWAY':0<12}{self.number:06d}")

    @cached_property
    def bic(self) -> str:
        """A BIC of its own."""
        letters = "".join(chr(65 + self.number // 26**place % 26) for place in range(4))
        return f"{letters}ZZ2A"

    def key(self, kind: str) -> LocalAccount:
        """The key of one of its accounts."""
        secret = hashlib.sha256(f"corridor-throwaway/{self.number}/{kind}".encode()).digest()
        account: LocalAccount = Account.from_key(secret)
        return account

    def sign(self, kind: str, digest: bytes) -> bytes:
        """The signature of one of its accounts over a digest: 65 bytes."""
        return bytes(self.key(kind).unsafe_sign_hash(Hash32(digest)).signature)

    @cached_property
    def operating(self) -> LocalAccount:
        """The key that signs its transactions."""
        return self.key("operating")

    def address(self, kind: str = "settlement") -> bytes:
        """The address of one of its accounts."""
        return bytes.fromhex(self.key(kind).address[2:])

    def reference(self, kind: str = "settlement") -> bytes:
        """The registry's reference of that account."""
        return keccak(f"throwaway/{self.number}/{kind}".encode())

    def entry(self) -> dict[str, Any]:
        """Its part of a network file."""
        return {
            "lei": self.lei,
            "bic": self.bic,
            "country": "ZZ",
            "roles": list(self.roles),
            "sealing_key": "0x" + keccak(f"{self.lei}/sealing".encode()).hex(),
            "signing_key": "0x" + keccak(f"{self.lei}/signing".encode()).hex(),
            "endpoint": "http://localhost",
            "accounts": [
                {
                    "reference": "0x" + self.reference(kind).hex(),
                    "address": "0x" + self.address(kind).hex(),
                    "kind": kind.removesuffix("-2"),
                }
                for kind in self.kinds
            ],
        }


OPERATOR: Final = Institution(1, "operator", ("operator", "liquidity"), ("operating",))
ISSUER: Final = Institution(
    2, "central bank", ("issuer",), ("operating", "attesting", "officer", "officer-2")
)
FIRST_BANK: Final = 10
NUMERIC_BY_CURRENCY: Final = {"EUR": 978, "SGD": 702}


def banks(labels: Sequence[str]) -> tuple[Institution, ...]:
    """One bank for each label."""
    return tuple(
        Institution(FIRST_BANK + number, label, ("bank",)) for number, label in enumerate(labels)
    )


def network_file(holders: Sequence[Institution]) -> dict[str, Any]:
    """The network: an operator, one issuer of all currencies, and these banks."""
    return {
        "chain_id": CHAIN_ID,
        "genesis_time": int(time.time()) - 60,
        "development": True,
        "transactions_open": False,
        "operator": "0x" + OPERATOR.address("operating").hex(),
        "block_gas_limit": BLOCK_GAS,
        "transaction_gas_limit": TRANSACTION_GAS,
        "currencies": [
            {
                "code": code,
                "numeric": numeric,
                "exponent": 2,
                "name": code,
                "issuer_lei": ISSUER.lei,
            }
            for code, numeric in NUMERIC_BY_CURRENCY.items()
        ],
        "participants": [each.entry() for each in (OPERATOR, ISSUER, *holders)],
    }


class ThrowawayChain:
    """Calls are queued with `send` and included by `make_blocks`; `gas` and `blocks` count since `mark`."""

    def __init__(
        self,
        application: Application,
        intake: Intake,
        view: tuple[PyEvmEngine, History, Rules],
        observer: BlockObserver,
    ) -> None:
        self._engine, self.history, self._rules = view
        self.blocks = 0
        self.gas = 0
        self._intake = intake
        self._solo = SoloEngine(application, intake, self._count, observer)
        self._nonces: dict[str, int] = {}
        self._pending: list[tuple[str, Hash32]] = []
        self._references = 0

    def mark(self) -> None:
        """Count blocks and gas anew."""
        self.blocks, self.gas = 0, 0

    def send(self, sender: LocalAccount, call: ContractCall, *, gas: int = CALL_GAS) -> Hash32:
        """Queue one call; a batch goes into blocks by itself when many wait."""
        nonce = self._nonces.get(sender.address, 0)
        self._nonces[sender.address] = nonce + 1
        signed = sender.sign_transaction(
            {
                "chainId": CHAIN_ID,
                "nonce": nonce,
                "to": call.to,
                "data": call.data,
                "gas": gas,
                "maxFeePerGas": 0,
                "maxPriorityFeePerGas": 0,
                "value": 0,
            }
        )
        transaction_hash = self._intake.submit(bytes(signed.raw_transaction))
        self._pending.append((call.data[:4].hex(), transaction_hash))
        if len(self._pending) >= IN_FLIGHT_MAX:
            self.make_blocks()
        return transaction_hash

    def make_blocks(self) -> None:
        """Include all that waits; raises CallFailed where a call did not succeed."""
        while self._intake.pool_status().executable:
            self._solo.make_block(self._intake.await_selection())
        for selector, transaction_hash in self._pending:
            record = self.history.receipt(transaction_hash)
            if record is None or not record.receipt.succeeded:
                raise CallFailed(f"a call of {selector} did not succeed")
        self._pending.clear()

    def fund(self, currency: str, amounts: Sequence[tuple[Institution, int]]) -> None:
        """Attest reserves and issue."""
        numeric = NUMERIC_BY_CURRENCY[currency]
        amounts = [(holder, amount) for holder, amount in amounts if amount]
        latest = self.ask(token_call(numeric, "latestAttestation", ()), ["uint64"])[0]
        supply = self.ask(token_call(numeric, "totalSupply", ()), ["uint256"])[0]
        now = self.history.head().timestamp
        total = supply + sum(amount for _, amount in amounts)
        statement = Attestation(
            latest + 1, now, now + DEADLINE_SECONDS, total, keccak(b"statement")
        )
        digest = attestation_hash(statement, numeric, CHAIN_ID)
        signature = ISSUER.sign("attesting", digest)
        self.send(ISSUER.operating, token_call(numeric, "attest", (statement, signature)))
        for holder, amount in amounts:
            self._references += 1
            reference = keccak(f"issue/{self._references}".encode())
            self.send(
                ISSUER.operating,
                token_call(numeric, "issue", (reference, holder.address(), amount)),
            )
        self.make_blocks()

    def balance(self, currency: str, holder: Institution) -> int:
        """What a bank's settlement account holds."""
        call = token_call(NUMERIC_BY_CURRENCY[currency], "balanceOf", (holder.address(),))
        balance: int = self.ask(call, ["uint256"])[0]
        return balance

    def state(self, payment_id: bytes) -> int:
        """A payment's state, as PaymentSettlement numbers them."""
        answer = self.ask(settlement_call("payment", (payment_id,)), ["bytes32", "uint8"])
        state: int = answer[1]
        return state

    def ask(self, call: ContractCall, types: Sequence[str]) -> tuple[Any, ...]:
        """The first values of what a view function answers."""
        header = self.history.head()
        env = BlockEnv(
            chain_id=CHAIN_ID,
            number=header.number + 1,
            timestamp=header.timestamp,
            rules=self._rules,
            ancestor_hashes=(),
        )
        question = Call(sender=Address(bytes(20)), to=Address(call.to), data=call.data)
        outcome = self._engine.call(env, header.state_root, question)
        return tuple(decode(list(types), outcome.data))

    def _count(self, tip: Tip) -> None:
        self.blocks += 1
        self.gas += tip.header.gas_used


@contextlib.contextmanager
def opened(
    folder: Path, holders: Sequence[Institution], observer: BlockObserver | None = None
) -> Iterator[ThrowawayChain]:
    """A chain at genesis, in a folder that is made if need be; `observer` is told how blocks are made."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(network_file(holders)).encode()
    made = genesis.generate(parse_network(text), PyEvmEngine(MemoryState()))
    with opened_stores(folder) as (state_store, chain_store):
        chain = open_chain(made, state_store, chain_store)
        application = Application(chain, SystemClock())
        pool_store = PoolStore(folder / "pool")
        with contextlib.closing(pool_store):
            intake = Intake(application, Pool(), pool_store)
            rules = made.specification.rules_at(0)
            view = (PyEvmEngine(state_store), History(chain_store), rules)
            yield ThrowawayChain(application, intake, view, observer or Unobserved())

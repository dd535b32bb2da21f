"""A chain in memory that takes real signed transactions: what a bridge asks of its node, and as much of
PaymentSettlement as payments of one leg and their returns need (docs/spec/settlement.md: PAY, RET).
"""

from dataclasses import dataclass, field
from typing import Any, Final

import rlp
from eth_abi.abi import decode, encode
from eth_hash.auto import keccak

from bridge.chain import BlockData, BlockRef, ChainEvent, Directory, PaymentOutcome, Receipt
from bridge.chain.encoding import SETTLEMENT, _functions, _signature_of, _type_of
from bridge.errors import NonceTaken, TransactionRefused
from support.bridge_api import CENTRAL_BANK, CHAIN_ID

FUNCTION_BY_SELECTOR: Final = {
    keccak(_signature_of(entry))[:4]: (name, [_type_of(each) for each in entry["inputs"]])
    for name, entry in _functions(SETTLEMENT).items()
}
DATA: Final = 7
"""Position of the data in a transaction of type 2."""
ACCEPT_BY, SETTLE_BY = 5, 6
"""Positions in the contract's `Terms`."""


class Reverted(Exception):
    """The simulated contract refuses."""


@dataclass(slots=True)
class OnChain:
    """A payment as the simulated contract keeps it."""

    terms: tuple[Any, ...]
    payer: str
    payee: str
    state: str = "instructed"
    original: bytes | None = None

    @property
    def amount(self) -> int:
        return int(self.terms[1][0][3])

    @property
    def currency(self) -> str:
        return str(self.terms[1][0][0].rstrip(b"\0").decode())


@dataclass(slots=True)
class Mined:
    """A block with what became of its transactions."""

    data: BlockData
    succeeded: dict[bytes, bool]


@dataclass(slots=True)
class SimulatedChain:
    """The chain; `now` is everybody's clock. `refused` are transactions no node takes."""

    known: Directory
    lei_by_sender: dict[bytes, str]
    now: int
    chain_id: int = CHAIN_ID
    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    payments: dict[bytes, OnChain] = field(default_factory=dict)
    pool: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    mined: list[Mined] = field(default_factory=list)
    nonces: dict[bytes, int] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)

    def directory(self) -> Directory:
        return self.known

    def refresh(self) -> None:
        """Nothing changes."""

    def issuer_of(self, code: str) -> str:
        assert code in self.currencies()
        return CENTRAL_BANK

    def currencies(self) -> frozenset[str]:
        return frozenset({"EUR", "SGD"})

    def nonce(self, address: bytes) -> int:
        waiting = [nonce + 1 for sender, nonce in self.pool if sender == address]
        return max([self.nonces.get(address, 0), *waiting])

    def send_raw(self, raw: bytes, *, sender: bytes, nonce: int) -> bytes:
        name = keccak(raw)
        if name in self.refused:
            raise TransactionRefused(name.hex(), "this node does not take it")
        if self.receipt(name) is not None:
            return name
        if nonce < self.nonces.get(sender, 0):
            raise NonceTaken(sender.hex(), nonce, name.hex())
        self.pool.setdefault((sender, nonce), raw)
        return name

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        for block in self.mined:
            if transaction_hash in block.succeeded:
                ref = block.data.ref
                succeeded = block.succeeded[transaction_hash]
                return Receipt(transaction_hash, ref.number, ref.hash, succeeded, 21_000)
        return None

    def block(self, number: int) -> BlockData | None:
        return self.mined[number].data if number < len(self.mined) else None

    def blocks(self, first: int, count: int) -> tuple[BlockData, ...]:
        return tuple(each.data for each in self.mined[first : first + count])

    def forget(self) -> None:
        """The node loses what it had not mined."""
        self.pool.clear()

    def mine(self, *, is_empty_wanted: bool = False) -> bool:
        """A block of everything that can be included, in turns; none where there is nothing."""
        number = len(self.mined)
        parent = self.mined[-1].data.ref.hash if self.mined else bytes(32)
        ref = BlockRef(number, keccak(parent + self.now.to_bytes(8)), parent, self.now)
        events: list[ChainEvent] = []
        succeeded: dict[bytes, bool] = {}
        for (sender, nonce), raw in sorted(self.pool.items()):
            if nonce != self.nonces.get(sender, 0):
                continue
            del self.pool[sender, nonce]
            self.nonces[sender] = nonce + 1
            succeeded[keccak(raw)] = self._execute(sender, raw, ref, events)
        if not succeeded and not is_empty_wanted:
            return False
        self.mined.append(Mined(BlockData(ref, tuple(succeeded), tuple(events)), succeeded))
        return True

    def pour(self, lei: str, currency: str, amount: int) -> None:
        """Tokens come in from elsewhere; what waits for them can settle."""
        self.balances[lei, currency] = self.balances.get((lei, currency), 0) + amount

    def settle_queued(self) -> bool:
        """Settle in the next block whatever waits and has its money; whether there was any."""
        number = len(self.mined)
        parent = self.mined[-1].data.ref.hash if self.mined else bytes(32)
        ref = BlockRef(number, keccak(parent + self.now.to_bytes(8)), parent, self.now)
        events: list[ChainEvent] = []
        for key, payment in self.payments.items():
            if payment.state == "queued" and self._moves(payment):
                payment.state = "settled"
                _emit(events, ref, bytes(32), "PaymentSettled", paymentId=key)
        if events:
            self.mined.append(Mined(BlockData(ref, (), tuple(events)), {}))
        return bool(events)

    def _execute(self, sender: bytes, raw: bytes, ref: BlockRef, events: list[ChainEvent]) -> bool:
        data = rlp.decode(raw[1:])[DATA]
        if not data:
            return True
        function, types = FUNCTION_BY_SELECTOR[data[:4]]
        told: list[ChainEvent] = []
        try:
            self._call(function, decode(types, data[4:]), self.lei_by_sender[sender], told)
        except Reverted:
            return False
        for event in told:
            _emit(events, ref, keccak(raw), event.name, **event.arguments)
        return True

    def _call(
        self, function: str, arguments: tuple[Any, ...], lei: str, told: list[ChainEvent]
    ) -> None:
        match function:
            case "instruct":
                hashed, terms = arguments
                self._instruct(_key(0, lei, hashed, 0), terms, lei, None, told)
            case "instructReturn":
                self._instruct_return(arguments, lei, told)
            case "accept":
                self._accept(arguments, lei, told)
            case "reject":
                payment = self._live(arguments, {"instructed"})
                _require(payment.payee == lei)
                payment.state = "rejected"
                _tell(told, "PaymentRejected", paymentId=arguments[0], participant=lei.encode())
            case "withdraw":
                payment = self._live(arguments, {"instructed", "queued"})
                _require(payment.payer == lei)
                payment.state = "cancelled"
                outcome = PaymentOutcome.WITHDRAWN.value
                _tell(told, "PaymentCancelled", paymentId=arguments[0], outcome=outcome)
            case "expire":
                self._expire(arguments, told)
            case _:
                raise Reverted(function)

    def _instruct(
        self,
        key: bytes,
        terms: tuple[Any, ...],
        lei: str,
        original: bytes | None,
        told: list[ChainEvent],
    ) -> None:
        _require(key not in self.payments and self.now <= terms[ACCEPT_BY])
        ((_, payer, payee, _),) = terms[1]
        owners = [self.known.owner_of(reference) for reference in (payer, payee)]
        _require(owners[0] is not None and owners[0].lei == lei and owners[1] is not None)
        assert owners[1] is not None
        self.payments[key] = OnChain(terms, lei, owners[1].lei, original=original)
        if original is not None:
            _tell(told, "ReturnInstructed", paymentId=key, originalId=original)
        _tell(told, "Instructed", paymentId=key, participant=lei.encode(), terms=terms)

    def _instruct_return(
        self, arguments: tuple[Any, ...], lei: str, told: list[ChainEvent]
    ) -> None:
        hashed, number, original_terms, terms = arguments
        _require(number != 0)
        payer = self.known.owner_of(original_terms[1][0][1])
        _require(payer is not None)
        assert payer is not None
        original_key = _key(0, payer.lei, hashed, 0)
        original = self.payments.get(original_key)
        _require(original is not None and original.state == "settled")
        assert original is not None
        _require(original.terms == original_terms and original.payee == lei)
        ((_, _, payee, amount),) = terms[1]
        _require(payee == original_terms[1][0][1])
        _require(amount <= original.amount - self.returned(original_key))
        self._instruct(_key(1, lei, hashed, number), terms, lei, original_key, told)

    def returned(self, original: bytes) -> int:
        """What came back of a payment or is on its way."""
        live = {"instructed", "queued", "settled"}
        found = (each for each in self.payments.values() if each.original == original)
        return sum(each.amount for each in found if each.state in live)

    def _accept(self, arguments: tuple[Any, ...], lei: str, told: list[ChainEvent]) -> None:
        payment = self._live(arguments[:2], {"instructed"})
        _require(payment.payee == lei and self.now <= payment.terms[ACCEPT_BY])
        _tell(told, "Accepted", paymentId=arguments[0], participant=lei.encode())
        payment.state = "settled" if self._moves(payment) else "queued"
        name = "PaymentSettled" if payment.state == "settled" else "PaymentQueued"
        _tell(told, name, paymentId=arguments[0])

    def _expire(self, arguments: tuple[Any, ...], told: list[ChainEvent]) -> None:
        payment = self._live(arguments, {"instructed", "queued"})
        is_queued = payment.state == "queued"
        _require(self.now > payment.terms[SETTLE_BY if is_queued else ACCEPT_BY])
        payment.state = "expired"
        outcome = PaymentOutcome.EXPIRED_UNACCEPTED
        if is_queued:
            outcome = PaymentOutcome.EXPIRED_UNSETTLED
        _tell(told, "PaymentExpired", paymentId=arguments[0], outcome=outcome.value)

    def _live(self, arguments: tuple[Any, ...], states: set[str]) -> OnChain:
        payment = self.payments.get(arguments[0])
        _require(payment is not None and payment.state in states)
        assert payment is not None
        _require(payment.terms == arguments[1])
        return payment

    def _moves(self, payment: OnChain) -> bool:
        key = (payment.payer, payment.currency)
        if self.balances.get(key, 0) < payment.amount:
            return False
        self.balances[key] -= payment.amount
        self.pour(payment.payee, payment.currency, payment.amount)
        return True


def _key(kind: int, lei: str, hashed: bytes, number: int) -> bytes:
    types = ["uint8", "bytes20", "bytes32", "uint256"]
    return keccak(encode(types, [kind, lei.encode(), hashed, number]))


def _require(condition: bool) -> None:
    if not condition:
        raise Reverted


def _tell(told: list[ChainEvent], name: str, **arguments: Any) -> None:
    _emit(told, BlockRef(0, bytes(32), bytes(32), 0), bytes(32), name, **arguments)


def _emit(
    events: list[ChainEvent], ref: BlockRef, transaction_hash: bytes, name: str, **arguments: Any
) -> None:
    events.append(
        ChainEvent(
            contract=SETTLEMENT,
            name=name,
            address=b"\xc0" * 20,
            block_number=ref.number,
            block_hash=ref.hash,
            log_index=len(events),
            transaction_hash=transaction_hash,
            arguments=arguments,
        )
    )

"""The engine's port: bytes and integers in, bytes and integers out.

An engine is total over raw transactions: one that cannot be included is skipped with a reason
from a closed list, whatever its bytes are. It knows no clock, no randomness and no storage but
the state store it was given. Every method that names a state root reads exactly that state, so
answers never tear while the chain moves on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, unique
from typing import Final, NewType, Protocol

from node.block import COINBASE, MIX_HASH, Receipt
from node.engine.account_state import AccountState
from node.engine.dry_run import (
    AccountOverride,
    BlockOverrides,
    Call,
    CallAccesses,
    CallOutcome,
    CallsRun,
    DraftBlock,
)
from node.engine.proof import AccountProof
from node.engine.trace import Trace, TraceOptions
from node.errors import (
    BlockGasExhausted,
    ExecutionImpossible,
    FeeCapBelowBaseFee,
    FeeCapBelowPriorityFee,
    GasBelowIntrinsic,
    GasLimitTooHigh,
    HighS,
    InitCodeTooLarge,
    InsufficientFunds,
    MalformedTransaction,
    NonceGap,
    NonceTooHigh,
    NonceTooLow,
    NotReplayProtected,
    SenderHasCode,
    SenderNotPermitted,
    SignatureInvalid,
    TransactionRejected,
    TransactionTooLarge,
    TransactionTypeUnsupported,
    WrongChainId,
)
from node.primitives import ZERO_HASH, Address, Hash32
from node.specification import Rules

ANCESTOR_HASHES_MAX: Final = 256
"""How far back BLOCKHASH sees."""

BLOB_BASE_FEE: Final = 1
"""What BLOBBASEFEE answers where there are no blobs: the least possible (EIP-4844)."""

Handle = NewType("Handle", object)
"""State computed and not written; only the engine that made it knows what is inside."""


@dataclass(frozen=True, slots=True)
class BlockEnv:
    """The block a transaction runs in."""

    chain_id: int
    number: int
    timestamp: int
    """UTC seconds."""
    rules: Rules
    ancestor_hashes: tuple[Hash32, ...]
    """Newest first: the parent's hash, its parent's ..., up to ANCESTOR_HASHES_MAX."""
    coinbase: Address = COINBASE
    prev_randao: Hash32 = MIX_HASH
    gas_limit: int | None = None
    """None: that of the rules, as in every block of the chain."""
    base_fee_per_gas: int | None = None
    """None: that of the rules, as in every block of the chain."""
    blob_base_fee: int = BLOB_BASE_FEE

    @property
    def block_gas_limit(self) -> int:
        """The most gas the block's transactions may use together."""
        return self.rules.block_gas_limit if self.gas_limit is None else self.gas_limit

    @property
    def base_fee(self) -> int:
        """The price of a unit of gas that is burnt."""
        fee = self.base_fee_per_gas
        return self.rules.base_fee_per_gas if fee is None else fee

    def pretending(self, overrides: BlockOverrides) -> "BlockEnv":
        """Return the same block with what a dry run pretends.

        With another number BLOCKHASH still gives each block of the chain by its own; those that the chain does not
        have read as zero.
        """
        number = self.number if overrides.number is None else overrides.number
        given = {
            "timestamp": overrides.timestamp,
            "coinbase": overrides.coinbase,
            "prev_randao": overrides.prev_randao,
            "gas_limit": overrides.gas_limit,
            "base_fee_per_gas": overrides.base_fee_per_gas,
            "blob_base_fee": overrides.blob_base_fee,
        }
        return replace(
            self,
            number=number,
            ancestor_hashes=_renumbered(self.ancestor_hashes, number - self.number),
            **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]  # each of its field's type
        )


def _renumbered(ancestor_hashes: tuple[Hash32, ...], steps: int) -> tuple[Hash32, ...]:
    """Return the hashes that a block sees whose number is `steps` higher."""
    unknown = (ZERO_HASH,) * max(0, min(steps, ANCESTOR_HASHES_MAX))
    return (*unknown, *ancestor_hashes[max(0, -steps) :])[:ANCESTOR_HASHES_MAX]


@unique
class SkipReason(IntEnum):
    """Why a transaction is not in the block. Codes are consensus results: append only."""

    MALFORMED = 1
    TOO_LARGE = 2
    TYPE_UNSUPPORTED = 3
    NOT_REPLAY_PROTECTED = 4
    WRONG_CHAIN_ID = 5
    SIGNATURE_INVALID = 6
    HIGH_S = 7
    NONCE_TOO_HIGH = 8
    FEE_CAP_BELOW_PRIORITY_FEE = 9
    GAS_LIMIT_TOO_HIGH = 10
    INIT_CODE_TOO_LARGE = 11
    GAS_BELOW_INTRINSIC = 12
    NONCE_TOO_LOW = 13
    NONCE_GAP = 14
    INSUFFICIENT_FUNDS = 15
    SENDER_HAS_CODE = 16
    SENDER_NOT_PERMITTED = 17
    BLOCK_GAS_EXHAUSTED = 18
    EXECUTION_IMPOSSIBLE = 19
    FEE_CAP_BELOW_BASE_FEE = 20


_REASON_BY_ERROR: Final[Mapping[type[TransactionRejected], SkipReason]] = {
    MalformedTransaction: SkipReason.MALFORMED,
    TransactionTooLarge: SkipReason.TOO_LARGE,
    TransactionTypeUnsupported: SkipReason.TYPE_UNSUPPORTED,
    NotReplayProtected: SkipReason.NOT_REPLAY_PROTECTED,
    WrongChainId: SkipReason.WRONG_CHAIN_ID,
    SignatureInvalid: SkipReason.SIGNATURE_INVALID,
    HighS: SkipReason.HIGH_S,
    NonceTooHigh: SkipReason.NONCE_TOO_HIGH,
    FeeCapBelowPriorityFee: SkipReason.FEE_CAP_BELOW_PRIORITY_FEE,
    GasLimitTooHigh: SkipReason.GAS_LIMIT_TOO_HIGH,
    InitCodeTooLarge: SkipReason.INIT_CODE_TOO_LARGE,
    GasBelowIntrinsic: SkipReason.GAS_BELOW_INTRINSIC,
    NonceTooLow: SkipReason.NONCE_TOO_LOW,
    NonceGap: SkipReason.NONCE_GAP,
    InsufficientFunds: SkipReason.INSUFFICIENT_FUNDS,
    SenderHasCode: SkipReason.SENDER_HAS_CODE,
    SenderNotPermitted: SkipReason.SENDER_NOT_PERMITTED,
    BlockGasExhausted: SkipReason.BLOCK_GAS_EXHAUSTED,
    ExecutionImpossible: SkipReason.EXECUTION_IMPOSSIBLE,
    FeeCapBelowBaseFee: SkipReason.FEE_CAP_BELOW_BASE_FEE,
}


def skip_reason_of(error: TransactionRejected) -> SkipReason:
    """Return the code of a refusal; total over the leaves of TransactionRejected."""
    return _REASON_BY_ERROR[type(error)]


@dataclass(frozen=True, slots=True)
class Included:
    """A transaction in the block, succeeded or not."""

    position: int
    """Where it stood in the list given to `execute`."""
    raw: bytes
    hash: Hash32
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Skipped:
    """A transaction left out of the block; it changed nothing."""

    position: int
    """Where it stood in the list given to `execute`."""
    reason: SkipReason
    error: TransactionRejected
    """The same for people; its text is no consensus result."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What a list of raw transactions did on top of a parent state."""

    state_root: Hash32
    transactions_root: Hash32
    receipts_root: Hash32
    logs_bloom: bytes
    gas_used: int
    included: tuple[Included, ...]
    """In order; `included[i].receipt` belongs to the block's i-th transaction."""
    skipped: tuple[Skipped, ...]
    handle: Handle


@dataclass(frozen=True, slots=True)
class TracedBlock:
    """A committed block's transactions, and which of them to trace."""

    raws: tuple[bytes, ...]
    positions: frozenset[int]


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """One account of a genesis allocation."""

    balance: int = 0
    nonce: int = 0
    code: bytes = b""
    storage: Mapping[int, int] = field(default_factory=dict)
    """Value by slot; no zero values."""


Alloc = Mapping[Address, GenesisAccount]
"""A genesis allocation."""


@dataclass(frozen=True, slots=True)
class LoadedGenesis:
    """The state of an allocation, not written yet."""

    state_root: Hash32
    handle: Handle


@dataclass(frozen=True, slots=True)
class GenesisStep:
    """One deployment or call by which an allocation is made."""

    sender: Address
    to: Address
    data: bytes
    """Init code with constructor arguments if `creates`, else calldata."""
    creates: bool = True
    """Run `data` as a constructor and put its contract at `to`."""


class Engine(Protocol):
    """What executes transactions and answers questions about a state."""

    def load_genesis(self, alloc: Alloc) -> LoadedGenesis:
        """Return the state of an allocation; `commit` its handle to keep it."""
        ...

    def run_genesis_steps(
        self, env: BlockEnv, alloc: Alloc, steps: Sequence[GenesisStep]
    ) -> dict[Address, GenesisAccount]:
        """Return the allocation after the steps, in order; raises DeploymentFailed."""
        ...

    def execute(
        self, env: BlockEnv, parent_root: Hash32, raw_transactions: Sequence[bytes]
    ) -> Executed:
        """Return what the transactions do on top of the parent's state; total over their bytes."""
        ...

    def commit(self, handle: Handle) -> None:
        """Write a computed state durably; again is harmless."""
        ...

    def discard(self, handle: Handle) -> None:
        """Forget a computed state."""
        ...

    def upon(self, handle: Handle) -> "Engine":
        """Return an engine that reads as if the computed state were committed; it commits nothing itself."""
        ...

    def call(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        overrides: Mapping[Address, AccountOverride] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> CallOutcome:
        """Return what a call would give; raises CallRejected, GasBelowIntrinsic.

        `watch` is called before it starts and now and again while it runs. What it raises ends
        the call and comes out unchanged: a caller's deadline. No block is executed under one.
        """
        ...

    def account(self, root: Hash32, address: Address) -> AccountState:
        """Return an account at a root."""
        ...

    def storage(self, root: Hash32, address: Address, slot: int) -> int:
        """Return a storage slot at a root."""
        ...

    def code(self, root: Hash32, address: Address) -> bytes:
        """Return a contract's code at a root."""
        ...

    def proof(self, root: Hash32, address: Address, slots: Sequence[int]) -> AccountProof:
        """Return the trie nodes that prove an account and slots of its storage, absent ones too."""
        ...

    def trace(
        self,
        env: BlockEnv,
        parent_root: Hash32,
        transactions: TracedBlock,
        options: TraceOptions,
        watch: Callable[[], None],
    ) -> tuple[Trace, ...]:
        """Return how transactions of a block ran, by running the block again as `execute` does.

        Raises TraceTooLarge past the limits of one trace, and whatever `watch` raises.
        """
        ...

    def trace_call(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        options: TraceOptions,
        overrides: Mapping[Address, AccountOverride],
        watch: Callable[[], None],
    ) -> Trace:
        """Return how a call would run; raises what `call` and `trace` raise."""
        ...

    def accesses(
        self,
        env: BlockEnv,
        root: Hash32,
        call: Call,
        overrides: Mapping[Address, AccountOverride],
        watch: Callable[[], None],
    ) -> CallAccesses:
        """Return what a call gives and which accounts and slots it touches; raises as `call`."""
        ...

    def run_calls(
        self,
        env: BlockEnv,
        root: Hash32,
        draft: DraftBlock,
        parent: Handle | None,
        watch: Callable[[], None],
    ) -> CallsRun:
        """Return what calls do one after the other in a block of their own, on top of a state.

        `parent` is the handle of the block before, if that was one of these and `root` is its. Raises
        SimulatedCallRefused for a call the block cannot hold, and whatever `watch` raises.
        """
        ...

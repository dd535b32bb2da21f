"""The node's error tree. Attributes are bytes and integers; texts are for people.

NodeError
  Rejected                        the caller's fault; asking again the same way fails again
    MalformedRlp                  bytes that are not canonical RLP of the expected shape
    TransactionRejected           a transaction that must not enter a block
      TransactionTooLarge         longer than TRANSACTION_BYTES_MAX
      MalformedTransaction        not the canonical encoding of any known type
      TransactionTypeUnsupported  blob (3), set-code (4) or unknown type
      NotReplayProtected          legacy without the chain id of EIP-155
      WrongChainId                signed for another chain
      SignatureInvalid            no public key answers to the signature
      HighS                       malleable signature (EIP-2)
      GasLimitTooHigh             above the rules' gas limit of one transaction
      InitCodeTooLarge            above EIP-3860's limit
      GasBelowIntrinsic           below the intrinsic gas or EIP-7623's floor
      FeeCapBelowPriorityFee      max_fee_per_gas < max_priority_fee_per_gas
      FeeCapBelowBaseFee          max_fee_per_gas < the block's base fee
      NonceTooHigh                beyond EIP-2681's limit
      NonceTooLow                 that nonce is used
      NonceGap                    an earlier nonce is missing
      InsufficientFunds           a fee or a value the sender cannot pay
      SenderHasCode               the sender is a contract (EIP-3607)
      SenderNotPermitted          the registry does not admit the sender for that target
      BlockGasExhausted           no room left in this block
      ExecutionImpossible         the engine cannot run it; nothing happened
    TransactionAlreadyKnown       the pool holds it
    ReplacementRefused            its nonce is taken by a transaction on its way into a block
    CallRejected                  a dry run that cannot be started
    NoKeysHeld                    a signature asked of a node that holds no keys
    BlockUnknown                  no such block is committed
    FeeHistoryBeyondHead          a fee history up to a block that is not yet made
    StatePruned                   the state of that block is not kept any more
    PoolContentTooLarge           more pooled transactions than one answer may hold
    LogQueryTooLarge              more logs, or more work, than one answer may hold
    LogRangeTooLarge              more blocks than one log query may range over
    CursorMalformed               text that is no event cursor
    CursorOfAnotherChain          an event cursor made on a chain with another genesis
    HistoryPruned                 blocks that this node no longer holds
    FilterUnknown                 no such filter, or nobody asked for it for too long
    FilterOutrun                  more happened since the last poll than is kept
    SubscriptionKindUnknown       nothing of that name can be subscribed to
    SubscriptionUnknown           the connection has no such subscription
    SubscriptionLimitReached      the connection has as many subscriptions as it may
    NotificationsUnsupported      a subscription asked for where nothing can be sent unasked
    SpecificationInvalid          a rule document that is incomplete or contradictory
      PublicChainId               the chain id belongs to a public network
    DeploymentFailed              a genesis step reverted or halted
    GenesisMismatch               the store or the file belongs to another chain
    GenesisFileInvalid            genesis.json is not what `node network generate` writes
    NetworkFileInvalid            the network file holds faults
    SettingsInvalid               settings that are unknown, missing or break their rule
    KeyUnusable                   a key file that is missing, damaged, readable by others or of another passphrase
    ProposalRejected              a proposed block that must not be decided
    MethodUnknown                 no such JSON-RPC method
    CredentialsRefused            no credentials where some are needed, or wrong ones
    MethodForbidden               a method that is not open to the client that calls it
    RateExceeded                  calls that come more often than their client may make them
    ParameterInvalid              a JSON-RPC parameter that cannot be read
    ParameterMissing              a JSON-RPC call without a value that its method needs
    ParametersTooMany             a JSON-RPC call with more values than its method takes
    TraceTooLarge                 a trace that holds more than one answer may
    NothingToTrace                no such transaction is committed, or it is genesis
    PaymentUnknown                no payment of that id, and no transaction with an event of one
    NothingToCertify              a position in a block at which no event of a payment stands
    SignedHeaderInvalid           a header of consensus that its validators' signatures do not bear out
    SimulatedBlockOutOfOrder      a simulated block whose number or time does not follow
    SimulationTooLarge            more simulated blocks, calls or gas than one answer may hold
    SimulatedCallRefused          a simulated block cannot hold this call
    PrecompileMovedToItself       a dry run that moves a precompiled contract to where it is
    PrecompileMoveClash           a dry run that moves two precompiled contracts to one place
    ExecutionReverted             a dry run that the contract refused
    ExecutionHalted               a dry run that ended in an exceptional halt
    DryRunTooLong                 a dry run that took more time than its caller has
    ChainFileInvalid              a chain file that is cut off, changed or none at all
    ChainFileAhead                a chain file that begins beyond this node's newest block
    SnapshotInvalid               a snapshot that does not lead to the block it is said to be of
    BlockDiffers                  a block that comes out otherwise when it is executed again
    FailpointRefused              a failpoint that is unknown, or not to be had on this chain
    EngineBinaryMissing           no binary of the consensus engine
    EngineVersionUnsupported      a binary of the consensus engine that links another CometBFT
    EngineQuestionRefused         the consensus engine refuses a question
    EngineAnswerInvalid           the consensus engine's answer has another shape
    LinkFrameInvalid              bytes between core and RPC process that break their format
    EngineMessageInvalid          bytes from the engine of consensus that break the format of ABCI 2.0
  Unavailable                     a retry may help
    StoreBusy                     another process holds the writer's place
    PoolFull                      the pool is at its limit
    NotIncludedYet                pooled, and in no block within the time its sender waits
    CursorAhead                   this node has not come as far as the event cursor
    FilterTableFull               the node keeps as many filters as it may
    CertificateNotReady           a block whose certifying header is not kept here yet
    CoreUnavailable               the core process does not answer
    CoreFailed                    the core met a fault of its own over this question
    EngineUnavailable             the consensus engine does not answer, catches up, or has no room
    DirectoryBusy                 another node runs on the data directory
    PortBusy                      another process listens there
  InvariantBroken                 stop: going on would make things worse
    RulesUnknown                  the schedule names rules this software does not have
    StoreVersionUnknown           the store was written in a format this software does not know
    StoreCorrupt                  something that must be stored is not, or is not what it was
    StoreDiffers                  the store holds something else than the chain comes to
    StateMissing                  a node of the state trie is absent
    StoreUnwritable               a store did not take a write: disk or map full, or a fault
    EngineExhausted               the machine, not the transaction, was at its limit
    ConsensusOutOfOrder           the engine of consensus asked for something out of its turn
"""


class NodeError(Exception):
    """Whatever the node reports on purpose."""


class Rejected(NodeError):
    """The caller's fault."""


class Unavailable(NodeError):
    """A retry may help."""


class InvariantBroken(NodeError):
    """Stop."""


class MalformedRlp(Rejected):
    """Bytes that are not canonical RLP of the expected shape."""

    def __init__(self, reason: str, offset: int = 0) -> None:
        super().__init__(f"malformed RLP at byte {offset}: {reason}")
        self.reason = reason
        self.offset = offset


class TransactionRejected(Rejected):
    """A transaction that must not enter a block."""


class TransactionTooLarge(TransactionRejected):
    """Longer than TRANSACTION_BYTES_MAX."""

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(f"oversized data: transaction of {size} bytes, limit {size_max}")
        self.size = size
        self.size_max = size_max


class MalformedTransaction(TransactionRejected):
    """Not the canonical encoding of any known type."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"malformed transaction: {reason}")
        self.reason = reason


class TransactionTypeUnsupported(TransactionRejected):
    """Blob, set-code or unknown type."""

    def __init__(self, transaction_type: int) -> None:
        super().__init__(f"transaction type not supported: {transaction_type}")
        self.transaction_type = transaction_type


class NotReplayProtected(TransactionRejected):
    """Legacy without the chain id of EIP-155."""

    def __init__(self) -> None:
        super().__init__("only replay-protected (EIP-155) transactions allowed")


class WrongChainId(TransactionRejected):
    """Signed for another chain."""

    def __init__(self, *, expected: int, given: int) -> None:
        super().__init__(f"invalid chain id for signer: have {given} want {expected}")
        self.expected = expected
        self.given = given


class SignatureInvalid(TransactionRejected):
    """No public key answers to the signature."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid sender: invalid signature: {reason}")
        self.reason = reason


class HighS(TransactionRejected):
    """Malleable signature: s lies in the upper half of the group order (EIP-2)."""

    def __init__(self, s: int) -> None:
        super().__init__(
            "invalid sender: invalid signature: s is in the upper half of the curve's order (EIP-2)"
        )
        self.s = s


class GasLimitTooHigh(TransactionRejected):
    """Above the rules' gas limit of one transaction."""

    def __init__(self, gas_limit: int, gas_limit_max: int) -> None:
        super().__init__(
            f"exceeds block gas limit: gas limit {gas_limit}, at most {gas_limit_max} allowed"
        )
        self.gas_limit = gas_limit
        self.gas_limit_max = gas_limit_max


class InitCodeTooLarge(TransactionRejected):
    """Above EIP-3860's limit."""

    def __init__(self, size: int, size_max: int) -> None:
        super().__init__(f"max initcode size exceeded: code size {size}, limit {size_max}")
        self.size = size
        self.size_max = size_max


class GasBelowIntrinsic(TransactionRejected):
    """Below the intrinsic gas or EIP-7623's floor."""

    def __init__(self, gas_limit: int, gas_needed: int) -> None:
        super().__init__(f"intrinsic gas too low: gas {gas_limit}, minimum needed {gas_needed}")
        self.gas_limit = gas_limit
        self.gas_needed = gas_needed


class FeeCapBelowPriorityFee(TransactionRejected):
    """The fee cap is smaller than the priority fee."""

    def __init__(self, max_fee_per_gas: int, max_priority_fee_per_gas: int) -> None:
        super().__init__(
            "max priority fee per gas higher than max fee per gas: "
            f"{max_priority_fee_per_gas} > {max_fee_per_gas}; set both fee fields to 0"
        )
        self.max_fee_per_gas = max_fee_per_gas
        self.max_priority_fee_per_gas = max_priority_fee_per_gas


class FeeCapBelowBaseFee(TransactionRejected):
    """The fee cap is smaller than the block's base fee, which is 0 in every block of the chain."""

    def __init__(self, *, max_fee_per_gas: int, base_fee: int) -> None:
        super().__init__(
            f"max fee per gas less than block base fee: maxFeePerGas: {max_fee_per_gas}, "
            f"baseFee: {base_fee}"
        )
        self.max_fee_per_gas = max_fee_per_gas
        self.base_fee = base_fee


class NonceTooHigh(TransactionRejected):
    """Beyond EIP-2681's limit."""

    def __init__(self, nonce: int) -> None:
        super().__init__(f"nonce has max value: {nonce}")
        self.nonce = nonce


class NonceTooLow(TransactionRejected):
    """That nonce is used."""

    def __init__(self, *, expected: int, given: int) -> None:
        super().__init__(f"nonce too low: next nonce {expected}, tx nonce {given}")
        self.expected = expected
        self.given = given


class NonceGap(TransactionRejected):
    """An earlier nonce is missing."""

    def __init__(self, *, expected: int, given: int) -> None:
        super().__init__(f"nonce too high: next nonce {expected}, tx nonce {given}")
        self.expected = expected
        self.given = given


class InsufficientFunds(TransactionRejected):
    """A fee or a value the sender cannot pay; the native coin has no supply on this chain."""

    def __init__(self, *, cost: int, balance: int) -> None:
        super().__init__(
            f"insufficient funds for gas * price + value: balance {balance}, cost {cost}; "
            "gas is free on this chain, set both fee fields to 0 and value to 0"
        )
        self.cost = cost
        self.balance = balance


class SenderHasCode(TransactionRejected):
    """The sender is a contract (EIP-3607)."""

    def __init__(self, sender: bytes) -> None:
        super().__init__(f"sender not an eoa: 0x{sender.hex()}")
        self.sender = sender


class SenderNotPermitted(TransactionRejected):
    """The registry does not admit the sender for that target."""

    def __init__(self, sender: bytes, target: bytes) -> None:
        super().__init__(
            f"sender 0x{sender.hex()} is not permitted to transact with 0x{target.hex()}"
        )
        self.sender = sender
        self.target = target


class BlockGasExhausted(TransactionRejected):
    """No room left in this block."""

    def __init__(self, gas_limit: int, gas_left: int) -> None:
        super().__init__(f"gas limit reached: transaction asks {gas_limit}, block has {gas_left}")
        self.gas_limit = gas_limit
        self.gas_left = gas_left


class ExecutionImpossible(TransactionRejected):
    """The engine cannot run it; nothing happened."""

    def __init__(self) -> None:
        super().__init__("the transaction cannot be executed")


class TransactionAlreadyKnown(Rejected):
    """The pool holds it."""

    def __init__(self, transaction_hash: bytes) -> None:
        super().__init__(f"already known: 0x{transaction_hash.hex()}")
        self.transaction_hash = transaction_hash


class ReplacementRefused(Rejected):
    """Its nonce is taken by a transaction on its way into a block; there is no price to outbid with."""

    def __init__(self, nonce: int) -> None:
        super().__init__(
            f"replacement transaction underpriced: nonce {nonce} is taken by an executable transaction, "
            "and on this chain no price outbids it"
        )
        self.nonce = nonce


class CallRejected(Rejected):
    """A dry run that cannot be started."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoKeysHeld(Rejected):
    """A signature asked of a node that holds no keys of accounts."""

    def __init__(self) -> None:
        super().__init__(
            "unknown account: this node holds no keys; sign in a wallet and use eth_sendRawTransaction"
        )


class BlockUnknown(Rejected):
    """No such block is committed."""

    def __init__(self, number: int | None = None, block_hash: bytes | None = None) -> None:
        name = f"0x{block_hash.hex()}" if block_hash is not None else str(number)
        super().__init__(f"header not found: unknown block {name}")
        self.number = number
        self.block_hash = block_hash


class FeeHistoryBeyondHead(Rejected):
    """A fee history up to a block that is not yet made."""

    def __init__(self, *, requested: int, head: int) -> None:
        super().__init__(f"request beyond head block: requested {requested}, head {head}")
        self.requested = requested
        self.head = head


class StatePruned(Rejected):
    """The state of that block is not kept any more; its transactions, receipts and logs are."""

    def __init__(self, number: int, first_number: int) -> None:
        super().__init__(
            f"state of block {number} is pruned: this node keeps states from block {first_number} on"
        )
        self.number = number
        self.first_number = first_number


class PoolContentTooLarge(Rejected):
    """More pooled transactions than one answer may hold."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"the pool holds more than {bytes_max} bytes; ask by sender with txpool_contentFrom"
        )
        self.bytes_max = bytes_max


class LogQueryTooLarge(Rejected):
    """More logs, or more work, than one answer may hold."""

    def __init__(self, *, found_max: int, examined_max: int) -> None:
        super().__init__(
            f"query returns more than {found_max} results or examines more than {examined_max} "
            "entries; narrow the block range or the filter"
        )
        self.found_max = found_max
        self.examined_max = examined_max


class LogRangeTooLarge(Rejected):
    """More blocks than one log query may range over."""

    def __init__(self, blocks: int, blocks_max: int) -> None:
        super().__init__(f"block range of {blocks} blocks, at most {blocks_max}; narrow it")
        self.blocks = blocks
        self.blocks_max = blocks_max


class CursorMalformed(Rejected):
    """Text that is no event cursor."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"malformed event cursor: {reason}")
        self.reason = reason


class CursorOfAnotherChain(Rejected):
    """An event cursor made on a chain with another genesis; what follows it is not known here."""

    def __init__(self, *, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"the event cursor belongs to the chain with genesis 0x{found.hex()}..., "
            f"this is 0x{expected.hex()}..."
        )
        self.expected = expected
        self.found = found


class HistoryPruned(Rejected):
    """Blocks that this node no longer holds."""

    def __init__(self, first_number: int) -> None:
        super().__init__(f"pruned history unavailable: the first block kept here is {first_number}")
        self.first_number = first_number


class FilterUnknown(Rejected):
    """No such filter, or nobody asked for it for too long."""

    def __init__(self) -> None:
        super().__init__("filter not found")


class FilterOutrun(Rejected):
    """More happened since the last poll than is kept; the filter is gone, nothing was skipped silently."""

    def __init__(self, kept_max: int) -> None:
        super().__init__(
            f"more than {kept_max} pending transactions since the last poll; make a new filter"
        )
        self.kept_max = kept_max


class SubscriptionKindUnknown(Rejected):
    """Nothing of that name can be subscribed to."""

    def __init__(self, kind: str, namespace: str) -> None:
        super().__init__(f'no "{kind}" subscription in {namespace} namespace')
        self.kind = kind
        self.namespace = namespace


class SubscriptionUnknown(Rejected):
    """The connection has no such subscription."""

    def __init__(self) -> None:
        super().__init__("subscription not found")


class SubscriptionLimitReached(Rejected):
    """The connection has as many subscriptions as it may."""

    def __init__(self, subscriptions_max: int) -> None:
        super().__init__(f"at most {subscriptions_max} subscriptions per connection")
        self.subscriptions_max = subscriptions_max


class NotificationsUnsupported(Rejected):
    """A subscription asked for where nothing can be sent unasked."""

    def __init__(self) -> None:
        super().__init__("notifications not supported; connect by WebSocket")


class SpecificationInvalid(Rejected):
    """A rule document that is incomplete or contradictory."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid chain specification: {reason}")
        self.reason = reason


class PublicChainId(SpecificationInvalid):
    """The chain id belongs to a public network, where our signatures could be replayed."""

    def __init__(self, chain_id: int, network: str) -> None:
        super().__init__(f"chain id {chain_id} is that of {network}")
        self.chain_id = chain_id
        self.network = network


class DeploymentFailed(Rejected):
    """A genesis step reverted or halted."""

    def __init__(self, address: bytes, step: int, reason: str, revert_data: bytes) -> None:
        super().__init__(
            f"genesis step {step} at 0x{address.hex()} failed: {reason} (0x{revert_data.hex()})"
        )
        self.address = address
        self.step = step
        self.reason = reason
        self.revert_data = revert_data


class GenesisMismatch(Rejected):
    """The store or the file belongs to another chain."""

    def __init__(self, what: str, *, expected: bytes, found: bytes) -> None:
        super().__init__(f"{what} differs: expected 0x{expected.hex()}, found 0x{found.hex()}")
        self.what = what
        self.expected = expected
        self.found = found


class GenesisFileInvalid(Rejected):
    """genesis.json is not what `node network generate` writes."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid genesis file: {reason}")
        self.reason = reason


class NetworkFileInvalid(Rejected):
    """The network file holds faults."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid network file: {reason}")
        self.reason = reason


class SettingsInvalid(Rejected):
    """Settings that are unknown, missing or break their rule; each fault stands with its place."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid settings: {reason}")
        self.reason = reason


class KeyUnusable(Rejected):
    """A key file that is missing, damaged, readable by others or locked by another passphrase."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


class ProposalRejected(Rejected):
    """A proposed block that must not be decided."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"proposal rejected: {reason}")
        self.reason = reason


class MethodUnknown(Rejected):
    """No such JSON-RPC method."""

    def __init__(self, method: str) -> None:
        super().__init__(f"the method {method} does not exist/is not available")
        self.method = method


class CredentialsRefused(Rejected):
    """No credentials where some are needed, or wrong ones."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"unauthenticated: {reason}")
        self.reason = reason


class MethodForbidden(Rejected):
    """A method that is not open to the client that calls it."""

    def __init__(self, client: str, method: str) -> None:
        super().__init__(f"forbidden: the method {method} is not open to {client}")
        self.client = client
        self.method = method


class RateExceeded(Rejected):
    """Calls that come more often than their client may make them."""

    def __init__(self, client: str, calls_per_second: int) -> None:
        super().__init__(f"rate limit exceeded: {client} may make {calls_per_second} calls/s")
        self.client = client
        self.calls_per_second = calls_per_second


class ParameterInvalid(Rejected):
    """A JSON-RPC parameter that cannot be read."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"invalid argument {name}: {reason}")
        self.name = name
        self.reason = reason


class ParameterMissing(Rejected):
    """A JSON-RPC call without a value that its method needs."""

    def __init__(self, position: int) -> None:
        super().__init__(f"missing value for required argument {position}")
        self.position = position


class ParametersTooMany(Rejected):
    """A JSON-RPC call with more values than its method takes."""

    def __init__(self, count_max: int) -> None:
        super().__init__(f"too many arguments, want at most {count_max}")
        self.count_max = count_max


class ExecutionReverted(Rejected):
    """A dry run that the contract refused; `revert_data` is what it gave as the reason."""

    def __init__(self, revert_data: bytes) -> None:
        super().__init__("execution reverted")
        self.revert_data = revert_data


class ExecutionHalted(Rejected):
    """A dry run that ended in an exceptional halt: out of gas, an invalid instruction."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DryRunTooLong(Rejected):
    """A dry run that took more time than its caller has."""

    def __init__(self) -> None:
        super().__init__("the time for this request is over; ask for less at once")


class TraceTooLarge(Rejected):
    """A trace that holds more than one answer may."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            f"trace above {bytes_max} bytes or too deep; ask for fewer steps or leave parts out"
        )
        self.bytes_max = bytes_max


class NothingToTrace(Rejected):
    """No such transaction is committed, or the block is genesis, which ran nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PaymentUnknown(Rejected):
    """No payment with that id is known, nor a transaction of that hash with an event of a payment."""

    def __init__(self, asked: bytes) -> None:
        super().__init__(f"no payment or transaction 0x{asked.hex()} to certify")
        self.asked = asked


class NothingToCertify(Rejected):
    """A position in a block at which no event of a payment stands."""

    def __init__(self, transaction_index: int, log_index: int) -> None:
        super().__init__(
            f"nothing to certify: transaction {transaction_index} of the block has no event of a payment "
            f"as its log {log_index}"
        )
        self.transaction_index = transaction_index
        self.log_index = log_index


class SignedHeaderInvalid(Rejected):
    """A header of consensus that its validators' signatures do not bear out, or that cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid signed header: {reason}")
        self.reason = reason


class SimulatedBlockOutOfOrder(Rejected):
    """A simulated block whose number does not rise, or whose time falls."""

    def __init__(self, what: str, *, given: int, previous: int) -> None:
        super().__init__(f"block {what}s must be in order: {given} after {previous}")
        self.what = what
        self.given = given
        self.previous = previous


class SimulationTooLarge(Rejected):
    """More simulated blocks, calls or gas than one answer may hold."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"too many {what}: at most {limit}")
        self.what = what
        self.limit = limit


class SimulatedCallRefused(Rejected):
    """A simulated block cannot hold this call, for the reason a real one could not."""

    def __init__(self, position: int, refusal: TransactionRejected) -> None:
        super().__init__(f"call {position}: {refusal}")
        self.position = position
        self.refusal = refusal


class PrecompileMovedToItself(Rejected):
    """A dry run that moves a precompiled contract to where it is."""

    def __init__(self, address: bytes) -> None:
        super().__init__(f"movePrecompileToAddress: 0x{address.hex()} references itself")
        self.address = address


class PrecompileMoveClash(Rejected):
    """A dry run that moves two precompiled contracts to one place."""

    def __init__(self, address: bytes) -> None:
        super().__init__(f"movePrecompileToAddress: 0x{address.hex()} is the target of two moves")
        self.address = address


class ChainFileInvalid(Rejected):
    """A chain file that is cut off, changed or none at all; `offset` is where its reading ended."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"invalid chain file at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class ChainFileAhead(Rejected):
    """A chain file that begins beyond the block after this node's newest one."""

    def __init__(self, *, first_number: int, head_number: int) -> None:
        super().__init__(
            f"the chain file begins at block {first_number}, this node stands at {head_number}: "
            "import the blocks between first"
        )
        self.first_number = first_number
        self.head_number = head_number


class SnapshotInvalid(Rejected):
    """A snapshot that does not lead to the block it is said to be of, or that cannot be made of this store."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid snapshot: {reason}")
        self.reason = reason


class BlockDiffers(Rejected):
    """A block that comes out otherwise when it is executed again."""

    def __init__(self, number: int, what: str, *, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"block {number}: {what} is given as 0x{expected.hex()}, "
            f"execution comes to 0x{found.hex()}"
        )
        self.number = number
        self.what = what
        self.expected = expected
        self.found = found


class FailpointRefused(Rejected):
    """A failpoint that is unknown, or not to be had on this chain."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"failpoint {text!r} refused: {reason}")
        self.text = text
        self.reason = reason


class EngineBinaryMissing(Rejected):
    """No binary of the consensus engine: not where the settings say, or nowhere."""

    def __init__(self, setting: str | None) -> None:
        place = "on the PATH or in build/" if setting is None else f"at {setting}"
        super().__init__(
            f"no consensus engine {place}: build it with scripts/build-engine (needs Go), or put a "
            "corridor-engine on the PATH"
        )
        self.setting = setting


class EngineVersionUnsupported(Rejected):
    """A binary of the consensus engine that links another CometBFT, or does not say which."""

    def __init__(self, path: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{path} links CometBFT {found}, this software needs {expected}: build the engine "
            "anew with scripts/build-engine"
        )
        self.path = path
        self.expected = expected
        self.found = found


class EngineQuestionRefused(Rejected):
    """The consensus engine refuses a question, and would again."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"the consensus engine refuses {method}: {reason}")
        self.method = method
        self.reason = reason


class EngineAnswerInvalid(Rejected):
    """The consensus engine's answer has another shape than its version's answers have."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"the consensus engine's answer to {method} is not valid: {reason}")
        self.method = method
        self.reason = reason


class LinkFrameInvalid(Rejected):
    """Bytes between core and RPC process that break their format."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid frame: {reason}")
        self.reason = reason


class EngineMessageInvalid(Rejected):
    """Bytes from the engine of consensus that break the format of ABCI 2.0."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid message of the consensus engine: {reason}")
        self.reason = reason


class StoreBusy(Unavailable):
    """Another process holds the writer's place, or the store does not exist yet."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"store {path} cannot be opened: {reason}")
        self.path = path
        self.reason = reason


class PoolFull(Unavailable):
    """The pool is at its limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"txpool is full: at its limit of {limit}")
        self.limit = limit


class NotIncludedYet(Unavailable):
    """Pooled, and in no block within the time its sender waits; it stays pooled."""

    def __init__(self, transaction_hash: bytes) -> None:
        super().__init__(
            f"transaction 0x{transaction_hash.hex()} was added to the pool and is in no block yet; "
            "corridor_explainTransaction says what it waits for"
        )
        self.transaction_hash = transaction_hash


class CursorAhead(Unavailable):
    """The node has not come as far as the event cursor: it is behind the one that made it."""

    def __init__(self, *, number: int, head_number: int) -> None:
        super().__init__(
            f"the event cursor stands at block {number}, this node at {head_number}: it is behind"
        )
        self.number = number
        self.head_number = head_number


class FilterTableFull(Unavailable):
    """The node keeps as many filters as it may."""

    def __init__(self, filters_max: int) -> None:
        super().__init__(f"the node keeps at most {filters_max} filters; uninstall some")
        self.filters_max = filters_max


class CertificateNotReady(Unavailable):
    """The header that certifies a block is not kept here yet: it comes with the next height."""

    def __init__(self, number: int) -> None:
        super().__init__(f"block {number} is final, its certifying header is not kept here yet")
        self.number = number


class CoreUnavailable(Unavailable):
    """The core process does not answer."""

    def __init__(self) -> None:
        super().__init__("the node's core does not answer; try again")


class CoreFailed(Unavailable):
    """The core met a fault of its own over this question; its log has the details."""

    def __init__(self) -> None:
        super().__init__("the node's core failed at this request; its log says why")


class EngineUnavailable(Unavailable):
    """The consensus engine does not answer, catches up, or has no room just now."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"the consensus engine does not answer {method} now: {reason}")
        self.method = method
        self.reason = reason


class DirectoryBusy(Unavailable):
    """Another node runs on the data directory."""

    def __init__(self, directory: str) -> None:
        super().__init__(f"another node runs on {directory}")
        self.directory = directory


class PortBusy(Unavailable):
    """Another process listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"another process listens on {host}:{port}")
        self.host = host
        self.port = port


class RulesUnknown(InvariantBroken):
    """The schedule names rules this software does not have."""

    def __init__(self, number: int, fork: str) -> None:
        super().__init__(f"block {number} follows rules {fork!r}, unknown here; update the node")
        self.number = number
        self.fork = fork


class StoreVersionUnknown(InvariantBroken):
    """The store was written in a format this software does not know."""

    def __init__(self, store: str, *, expected: bytes, found: bytes) -> None:
        super().__init__(
            f"{store} store has format {found!r}, this software reads {expected!r}; "
            "chains made before a format change are refused, not migrated"
        )
        self.store = store
        self.expected = expected
        self.found = found


class StoreCorrupt(InvariantBroken):
    """Something that must be stored is not, or is not what it was."""

    def __init__(self, what: str, key: bytes = b"") -> None:
        super().__init__(f"store corrupt: {what} (key 0x{key.hex()})")
        self.what = what
        self.key = key


class StoreDiffers(InvariantBroken):
    """The store holds something else than the chain comes to when it is executed again."""

    def __init__(self, table: str, key: bytes, reason: str, *, number: int | None = None) -> None:
        place = "" if number is None else f" of block {number}"
        super().__init__(f"{table}{place} differs at key 0x{key.hex()}: {reason}")
        self.table = table
        self.key = key
        self.reason = reason
        self.number = number


class StateMissing(InvariantBroken):
    """A node of the state trie is absent: its root was never committed here, or it was lost."""

    def __init__(self, key: bytes) -> None:
        super().__init__(
            f"state node or code 0x{key.hex()} is missing: the data directory's 'state' was lost "
            "or is older than its 'chain'; restore both together"
        )
        self.key = key


class StoreUnwritable(InvariantBroken):
    """A store did not take a write, so nothing of it is there: disk or map full, or a fault."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be written: {reason}")
        self.path = path
        self.reason = reason


class EngineExhausted(InvariantBroken):
    """The machine, not the transaction, was at its limit: a verdict here could differ elsewhere."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"the engine ran into this machine's limit: {limit}")
        self.limit = limit


class ConsensusOutOfOrder(InvariantBroken):
    """The engine of consensus asked for something out of its turn: it and this node disagree about where they are."""

    def __init__(self, asked: str, expected: str) -> None:
        super().__init__(f"the consensus engine asked for {asked}; expected {expected}")
        self.asked = asked
        self.expected = expected

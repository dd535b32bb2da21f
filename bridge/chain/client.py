"""What the bridge asks of its node, over JSON-RPC.

web3.py's HTTP provider carries the requests; nothing of its middleware is needed, since blocks of
this chain are plain Ethereum blocks and are final as soon as they are served. Foreign errors are
translated here and nowhere else: a node that does not answer is `NodeUnavailable`, a contract that
refuses is `CallReverted`, a transaction that is refused is `TransactionRefused`.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from eth_hash.auto import keccak
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

import contracts
from bridge.chain.directory import Directory, Participant, ParticipantAccount, role_names
from bridge.chain.encoding import (
    REGISTRY,
    TOKEN,
    AccountKind,
    Attestation,
    AuditAnchor,
    ChainEvent,
    ContractCall,
    ContractName,
    RawLog,
    decode_answer,
    decode_event,
    describe_revert,
    registry_call,
    settlement_call,
    token_call,
)
from bridge.errors import (
    CallReverted,
    ChainAnswerInvalid,
    ChainWrong,
    CurrencyNotIssued,
    NodeUnavailable,
    NonceTaken,
    TransactionRefused,
)
from bridge.money import CURRENCY_BY_CODE, parse_currency

REQUEST_SECONDS_MAX: Final = 10
"""How long the node is given to answer one request."""

BATCH_CALLS_MAX: Final = 50
"""Most calls in one batch; the node takes more."""

_ATTEMPTS: Final = 2
"""A kept-alive connection may have been closed in between; every request may be repeated."""

_REVERTED: Final = 3
_REFUSED: Final = -32000
_STATUS_ADMITTED: Final = 2


@dataclass(frozen=True, slots=True)
class BlockRef:
    """A block's place in the chain."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int


@dataclass(frozen=True, slots=True)
class BlockData:
    """A final block: its transactions' hashes and the events of our contracts, in log order."""

    ref: BlockRef
    transaction_hashes: tuple[bytes, ...]
    events: tuple[ChainEvent, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction that is in a final block."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int


@dataclass(frozen=True, slots=True)
class _Fault:
    """A JSON-RPC error object."""

    code: int
    message: str
    data: bytes


class ChainClient:
    """One node, asked by any number of threads."""

    def __init__(self, rpc_url: str, chain_id: int) -> None:
        self.chain_id = chain_id
        self._provider = HTTPProvider(
            rpc_url,
            request_kwargs={"timeout": REQUEST_SECONDS_MAX},
            exception_retry_configuration=None,
        )
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._issuers: dict[str, str] | None = None

    def check_chain(self, genesis_hash: bytes) -> None:
        """Raise `ChainWrong` unless the node serves the chain with this id and genesis block."""
        found = _integer(self._ask("eth_chainId"))
        if found != self.chain_id:
            raise ChainWrong(f"chain id {found}", f"chain id {self.chain_id}")
        genesis = self.block(0)
        if genesis is None or genesis.ref.hash != genesis_hash:
            served = "no genesis" if genesis is None else f"genesis 0x{genesis.ref.hash.hex()}"
            raise ChainWrong(served, f"genesis 0x{genesis_hash.hex()}")

    def head(self) -> BlockRef:
        """The newest block; it is final."""
        answer = self._ask("eth_getBlockByNumber", "latest", False)  # noqa: FBT003 - the wire's own parameter
        return _block_ref(answer)

    def block(self, number: int) -> BlockData | None:
        """The block with this number and its events, if the chain is that long."""
        found = self.blocks(number, 1)
        return found[0] if found else None

    def blocks(self, first: int, count: int) -> tuple[BlockData, ...]:
        """Up to `count` blocks from a number on with their events: those that the chain has.

        They are asked for in two round trips, or one where no block has a transaction; `count` is at
        most `BATCH_CALLS_MAX`.
        """
        asked = self._ask_all(
            [("eth_getBlockByNumber", [hex(first + place), False]) for place in range(count)]
        )
        answers = list(takewhile(lambda answer: answer is not None, asked))
        refs = [_block_ref(answer) for answer in answers]
        wanted = [
            ref.hash for ref, answer in zip(refs, answers, strict=True) if answer["transactions"]
        ]
        logs = self._ask_all([("eth_getLogs", [{"blockHash": _hex(each)}]) for each in wanted])
        logs_by_hash = dict(zip(wanted, logs, strict=True))
        return tuple(
            _block(ref, answer, logs_by_hash.get(ref.hash, []))
            for ref, answer in zip(refs, answers, strict=True)
        )

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction, once it is in a final block."""
        answer = self._ask("eth_getTransactionReceipt", _hex(transaction_hash))
        if answer is None:
            return None
        return Receipt(
            transaction_hash=transaction_hash,
            block_number=_integer(answer["blockNumber"]),
            block_hash=_octets(answer["blockHash"]),
            succeeded=_integer(answer["status"]) == 1,
            gas_used=_integer(answer["gasUsed"]),
        )

    def nonce(self, address: bytes) -> int:
        """The first nonce of an account that no transaction known to the node has taken."""
        return _integer(self._ask("eth_getTransactionCount", _hex(address), "pending"))

    def send_raw(self, raw: bytes, *, sender: bytes, nonce: int) -> bytes:
        """Hand a signed transaction to the node and return its hash; sending it again is harmless.

        Raises `NodeUnavailable` where a later attempt may succeed, `TransactionRefused` where it
        will not, and `NonceTaken` when the nonce was used by a transaction that is not this one.
        """
        transaction_hash = keccak(raw)
        answer = self._request("eth_sendRawTransaction", [_hex(raw)])
        if not isinstance(answer, _Fault) or answer.message.startswith("already known"):
            return transaction_hash
        if self.receipt(transaction_hash) is not None:
            return transaction_hash
        if answer.message.startswith("nonce too low"):
            raise NonceTaken(_hex(sender), nonce, _hex(transaction_hash))
        if answer.code != _REFUSED or answer.message.startswith("nonce too high"):
            raise NodeUnavailable("eth_sendRawTransaction", answer.message)
        raise TransactionRefused(_hex(transaction_hash), answer.message)

    def call(
        self,
        name: ContractName,
        call: ContractCall,
        function: str,
        *,
        block_number: int | None = None,
    ) -> tuple[Any, ...]:  # whatever the ABI says
        """What a view function answers, at the newest block or at an older one.

        Raises `CallReverted`.
        """
        (answer,) = self._call_all([call], block_number)
        return decode_answer(name, function, answer)

    def call_all(
        self,
        name: ContractName,
        function: str,
        calls: list[ContractCall],
        *,
        block_number: int,
    ) -> list[tuple[Any, ...]]:  # whatever the ABI says
        """What one view function answers to many calls at one block; raises `CallReverted`."""
        answers = self._call_all(calls, block_number)
        return [decode_answer(name, function, answer) for answer in answers]

    def simulate(self, call: ContractCall, *, sender: bytes, gas_limit: int) -> None:
        """Try a call as if the next block had it, now; raises `CallReverted` where it would fail."""
        wanted = {
            "from": _hex(sender),
            "to": _hex(call.to),
            "data": _hex(call.data),
            "gas": hex(gas_limit),
        }
        answer = self._request("eth_call", [wanted, "pending"])
        if isinstance(answer, _Fault) and answer.code == _REFUSED:
            raise CallReverted(answer.message, "")
        _call_result(answer)

    def token_address(self, numeric: int) -> bytes:
        """Where the token of a currency is, by its ISO 4217 number."""
        return contracts.currency_token_address(numeric)

    def balance_of(self, numeric: int, address: bytes, *, block_number: int | None = None) -> int:
        """Tokens of a currency that an account holds, in minor units."""
        return self._token_integer(numeric, "balanceOf", (address,), block_number)

    def total_supply(self, numeric: int, *, block_number: int | None = None) -> int:
        """Tokens of a currency that exist, in minor units."""
        return self._token_integer(numeric, "totalSupply", (), block_number)

    def latest_attestation(self, numeric: int, *, block_number: int | None = None) -> Attestation:
        """The newest statement of reserves, less what was burnt since; its sequence starts at 0."""
        (kept,) = self._token(numeric, "latestAttestation", (), block_number)
        return Attestation(*kept)

    def audit_anchor(self, lei: str) -> AuditAnchor:
        """The newest anchor of a participant's audit log; its sequence is 0 before the first."""
        call = registry_call("auditAnchorOf", (lei.encode(),))
        (kept,) = self.call(REGISTRY, call, "auditAnchorOf")
        return AuditAnchor(*kept)

    def is_issue_reference_used(self, numeric: int, reference: bytes) -> bool:
        """Whether the issuer has minted under this reference; nobody else can use one up."""
        (used,) = self._token(numeric, "isIssueReferenceUsed", (reference,))
        return used is True

    def issuer_of(self, code: str) -> str:
        """LEI of the central bank that issues a currency; raises `CurrencyNotIssued`."""
        issuer = self._issuer_by_currency().get(code)
        if issuer is None:
            raise CurrencyNotIssued(code)
        return issuer

    def currencies(self) -> frozenset[str]:
        """The codes of the currencies that can be settled."""
        return frozenset(self._issuer_by_currency())

    def _issuer_by_currency(self) -> dict[str, str]:
        """Read once, until one is added: a payment can be taken while the node is away."""
        with self._lock:
            if self._issuers is None:
                self._issuers = self._read_issuers()
            return self._issuers

    def directory(self) -> Directory:
        """Every participant; read once, until `refresh` is told that the registry has changed."""
        with self._lock:
            if self._directory is None:
                self._directory = Directory(self._read_participants())
            return self._directory

    def refresh(self) -> None:
        """Read participants and currencies again; until that is done the old ones are answered."""
        directory, issuers = Directory(self._read_participants()), self._read_issuers()
        with self._lock:
            self._directory, self._issuers = directory, issuers

    def _read_issuers(self) -> dict[str, str]:
        """LEI of the issuer by the code of each currency that can be settled."""
        number = self.head().number
        codes = sorted(CURRENCY_BY_CODE)
        calls = [settlement_call("assetOf", (code.encode(),)) for code in codes]
        answers = self._call_all(calls, number)
        settled = [code for code, answer in zip(codes, answers, strict=True) if any(answer)]
        asked = [token_call(parse_currency(code).numeric, "issuer", ()) for code in settled]
        issuers = self.call_all(TOKEN, "issuer", asked, block_number=number)
        return {code: _text(lei) for code, (lei,) in zip(settled, issuers, strict=True)}

    def _read_participants(self) -> list[Participant]:
        """Every participant with its accounts, all read at one block."""
        number = self.head().number
        ((count,),) = self._registry_all("participantCount", [()], number)
        indexes = [(index,) for index in range(count)]
        found = [kept for (kept,) in self._registry_all("participantAt", indexes, number)]
        leis = [(kept[0],) for kept in found]
        references = [kept for (kept,) in self._registry_all("accountReferencesOf", leis, number)]
        wanted = [(reference,) for each in references for reference in each]
        accounts = {
            reference: account
            for (reference,), (account,) in zip(
                wanted, self._registry_all("accountOf", wanted, number), strict=True
            )
        }
        return [
            _participant(kept, [(each, accounts[each]) for each in own])
            for kept, own in zip(found, references, strict=True)
        ]

    def _registry_all(
        self, function: str, arguments: Sequence[tuple[object, ...]], block_number: int
    ) -> list[tuple[Any, ...]]:  # whatever the ABI says
        calls = [registry_call(function, each) for each in arguments]
        return self.call_all(REGISTRY, function, calls, block_number=block_number)

    def _token(
        self,
        numeric: int,
        function: str,
        arguments: tuple[object, ...],
        block_number: int | None = None,
    ) -> tuple[Any, ...]:  # whatever the ABI says
        call = token_call(numeric, function, arguments)
        return self.call(TOKEN, call, function, block_number=block_number)

    def _token_integer(
        self,
        numeric: int,
        function: str,
        arguments: tuple[object, ...],
        block_number: int | None,
    ) -> int:
        (value,) = self._token(numeric, function, arguments, block_number)
        return int(value)

    def _call_all(self, calls: list[ContractCall], block_number: int | None) -> list[bytes]:
        """The answers of view functions, in batches; raises `CallReverted` for the first refusal."""
        block = "latest" if block_number is None else hex(block_number)
        found: list[bytes] = []
        for start in range(0, len(calls), BATCH_CALLS_MAX):
            requests = [
                (
                    "eth_call",
                    [{"to": _hex(call.to), "data": _hex(call.data)}, block],
                )
                for call in calls[start : start + BATCH_CALLS_MAX]
            ]
            found += [_call_result(answer) for answer in self._batch(requests)]
        return found

    def _ask(self, method: str, *params: object) -> Any:  # the JSON result
        answer = self._request(method, list(params))
        if isinstance(answer, _Fault):
            raise NodeUnavailable(method, answer.message)
        return answer

    def _ask_all(self, requests: list[tuple[str, list[Any]]]) -> list[Any]:
        """The JSON results of several requests, in one round trip."""
        answers = self._batch(requests) if requests else []
        for (method, _), answer in zip(requests, answers, strict=True):
            if isinstance(answer, _Fault):
                raise NodeUnavailable(method, answer.message)
        return answers

    def _request(self, method: str, params: list[Any]) -> Any:  # the JSON result, or a _Fault
        (answer,) = self._batch([(method, params)])
        return answer

    def _batch(self, requests: list[tuple[str, list[Any]]]) -> list[Any]:
        """The JSON results, or faults, of several requests in one round trip."""
        method = requests[0][0]
        wanted = [(RPCEndpoint(name), params) for name, params in requests]
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if len(wanted) == 1:
                    answers: Any = [self._provider.make_request(*wanted[0])]
                else:
                    answers = self._provider.make_batch_request(wanted)
                break
            except (OSError, ValueError, Web3Exception) as error:
                if attempt == _ATTEMPTS:
                    raise NodeUnavailable(method, str(error)) from error
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise NodeUnavailable(method, json.dumps(answers, default=str))
        return [_result(method, answer) for answer in answers]


def _result(method: str, answer: Any) -> Any:  # a JSON-RPC response object in, its result out
    if not isinstance(answer, dict):
        raise ChainAnswerInvalid(method, "not a JSON-RPC response")
    fault = answer.get("error")
    if fault is None:
        return answer.get("result")
    if not isinstance(fault, dict):
        return _Fault(0, str(fault), b"")
    data = fault.get("data")
    is_hex = isinstance(data, str) and data.startswith("0x")
    return _Fault(
        code=fault.get("code", 0),
        message=str(fault.get("message", "")),
        data=_octets(str(data)) if is_hex else b"",
    )


def _call_result(answer: Any) -> bytes:  # the JSON result, or a _Fault
    if not isinstance(answer, _Fault):
        return _octets(answer)
    if answer.code == _REVERTED:
        raise CallReverted(*describe_revert(answer.data))
    raise NodeUnavailable("eth_call", answer.message)


def _block_ref(answer: Any) -> BlockRef:  # a JSON block object
    return BlockRef(
        number=_integer(answer["number"]),
        hash=_octets(answer["hash"]),
        parent_hash=_octets(answer["parentHash"]),
        timestamp=_integer(answer["timestamp"]),
    )


def _block(ref: BlockRef, answer: Any, logs: Any) -> BlockData:  # a JSON block and its JSON logs
    events = [decode_event(_raw_log(log)) for log in logs]
    return BlockData(
        ref=ref,
        transaction_hashes=tuple(_octets(each) for each in answer["transactions"]),
        events=tuple(event for event in events if event is not None),
    )


def _raw_log(log: Any) -> RawLog:  # a JSON log object
    return RawLog(
        address=_octets(log["address"]),
        topics=tuple(_octets(topic) for topic in log["topics"]),
        data=_octets(log["data"]),
        block_number=_integer(log["blockNumber"]),
        block_hash=_octets(log["blockHash"]),
        log_index=_integer(log["logIndex"]),
        transaction_hash=_octets(log["transactionHash"]),
    )


def _participant(kept: Any, accounts: list[tuple[bytes, Any]]) -> Participant:  # ABI tuples
    """What the registry keeps of one; accounts that are not open, which have no kind, are left out."""
    lei, bic, country, status, roles, sealing_key, signing_key, endpoint, _ = kept
    return Participant(
        lei=_text(lei),
        bic=_text(bic),
        country=_text(country),
        is_admitted=status == _STATUS_ADMITTED,
        roles=role_names(roles),
        sealing_key=sealing_key,
        signing_key=signing_key,
        endpoint=endpoint,
        accounts=tuple(
            ParticipantAccount(reference, _octets(address), AccountKind(kind))
            for reference, (_, address, kind) in accounts
            if kind
        ),
    )


def _hex(octets: bytes) -> str:
    return f"0x{octets.hex()}"


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _integer(text: str) -> int:
    return int(text, 16)


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode("ascii", "replace")

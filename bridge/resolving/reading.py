"""A snapshot of what waits, read from the node at one block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.chain import (
    BlockRef,
    ChainClient,
    ContractCall,
    registry_call,
    settlement_call,
    token_call,
)
from bridge.chain.encoding import REGISTRY, SETTLEMENT, TOKEN, ContractName
from bridge.liquidity.book import Name
from bridge.money import parse_currency
from bridge.payment import Terms
from bridge.resolving.snapshot import HEAD_ITEMS_MAX, Position, Queued, Snapshot, Standing
from bridge.resolving.waiting import BilateralKey, Waiting

UNLIMITED: Final = 2**127 - 1
"""The contract's sign for no limit."""

STATE_QUEUED: Final = 2
"""The contract's number of the state in which a payment waits."""


@dataclass(frozen=True, slots=True)
class _Party:
    """An account's owner as the registry has it, with where the account is."""

    lei: str
    address: bytes
    is_active: bool
    suspended_since: int


def read_snapshot(chain: ChainClient, waiting: Waiting, head: BlockRef, at: int) -> Snapshot:
    """What waits at a block, to be judged at the UTC second `at`.

    Payments that `waiting` does not know yet, because its block has not been followed, end the head
    of their queue: nothing is proposed past them.
    """
    reader = _Reader(chain, head.number)
    legs = [leg for name in waiting.queued for leg in waiting.terms[name].legs]
    paying = _distinct((leg.from_reference, leg.currency) for leg in legs)
    positions = _distinct([*paying, *((leg.to_reference, leg.currency) for leg in legs)])
    parties = reader.parties(_distinct(reference for reference, _ in positions))
    queues = reader.queues(paying, parties, known=waiting.terms.keys())
    names = _distinct(name for queue in queues.values() for name in queue)
    return Snapshot(
        at=at,
        queued=reader.payments(names, waiting.terms),
        queues=queues,
        standings=reader.standings(positions, parties),
        bilateral=reader.bilateral(waiting.bilateral, parties),
        honours_earlier_entries=reader.honours_earlier_entries(),
    )


def _distinct(values: Iterable[Any]) -> list[Any]:  # of whatever type they are
    return list(dict.fromkeys(values))


class _Reader:
    """View functions of the contracts, asked in batches at one block."""

    def __init__(self, chain: ChainClient, block_number: int) -> None:
        self._chain = chain
        self._block_number = block_number

    def parties(self, references: Sequence[bytes]) -> dict[bytes, _Party]:
        """The owner of each account, by reference."""
        calls = [registry_call("partyOf", (reference,)) for reference in references]
        found = {}
        for reference, answer in zip(
            references, self._all(REGISTRY, "partyOf", calls), strict=True
        ):
            lei, address, _, is_active, since = answer[0]
            found[reference] = _Party(lei.decode(), _octets(address), is_active, since)
        return found

    def queues(
        self, positions: Sequence[Position], parties: Mapping[bytes, _Party], known: Iterable[bytes]
    ) -> dict[Position, tuple[bytes, ...]]:
        """The head of each queue, up to the first payment that is not known."""
        calls = [
            settlement_call(
                "queueOf",
                (parties[reference].address, currency.encode(), bytes(32), HEAD_ITEMS_MAX),
            )
            for reference, currency in positions
        ]
        known = set(known)
        found = {}
        for position, (queue,) in zip(
            positions, self._all(SETTLEMENT, "queueOf", calls), strict=True
        ):
            end = next((place for place, name in enumerate(queue) if name not in known), None)
            found[position] = tuple(queue[:end])
        return found

    def payments(self, names: Sequence[bytes], terms: Mapping[bytes, Terms]) -> dict[bytes, Queued]:
        """What the contract keeps of each payment."""
        calls = [settlement_call("payment", (name,)) for name in names]
        found = {}
        for name, (kept,) in zip(names, self._all(SETTLEMENT, "payment", calls), strict=True):
            *_, entered_at, _, bypassable, _, is_set_aside = kept
            found[name] = Queued(name, terms[name], entered_at, bypassable, is_set_aside)
        return found

    def standings(
        self, positions: Sequence[Position], parties: Mapping[bytes, _Party]
    ) -> dict[Position, Standing]:
        """What the token and the settlement contract say of each account."""
        places = [
            (parties[reference], currency, parse_currency(currency).numeric)
            for reference, currency in positions
        ]
        standing_calls = [
            token_call(numeric, "standingOf", (party.address, party.address, b""))
            for party, _, numeric in places
        ]
        limit_calls = [
            settlement_call("limitsOf", (party.address, currency.encode()))
            for party, currency, _ in places
        ]
        found = {}
        for position, (standing,), (limits,) in zip(
            positions,
            self._all(TOKEN, "standingOf", standing_calls),
            self._all(SETTLEMENT, "limitsOf", limit_calls),
            strict=True,
        ):
            party = parties[position[0]]
            is_open, is_frozen, _, payment_max, available = standing
            net_max, gross_max, net_used, gross_used = limits
            found[position] = Standing(
                lei=party.lei,
                is_admitted=party.is_active,
                suspended_since=party.suspended_since,
                is_usable=is_open and not is_frozen,
                payment_max=payment_max,
                available=available,
                net_room=_room(net_max, net_used),
                gross_room=_room(gross_max, gross_used),
                is_open=is_open,
            )
        return found

    def bilateral(
        self, keys: Iterable[BilateralKey], parties: Mapping[bytes, _Party]
    ) -> dict[tuple[Name, str, Name], int]:
        """The room of every bilateral limit of an account that is in play, by its reference."""
        reference_by_address = {party.address: reference for reference, party in parties.items()}
        wanted = sorted(
            (reference_by_address[address], currency, lei)
            for address, currency, lei in ((_octets(key[0]), *key[1:]) for key in keys)
            if address in reference_by_address
        )
        calls = [
            settlement_call(
                "bilateralLimitOf", (parties[reference].address, currency.encode(), lei.encode())
            )
            for reference, currency, lei in wanted
        ]
        rooms = [_room(*answer) for answer in self._all(SETTLEMENT, "bilateralLimitOf", calls)]
        return {key: room for key, room in zip(wanted, rooms, strict=True) if room is not None}

    def honours_earlier_entries(self) -> bool:
        """The rulebook's flag: what was accepted before a suspension may still settle."""
        call = registry_call("honoursEarlierEntries", ())
        return self._all(REGISTRY, "honoursEarlierEntries", [call])[0][0] is True

    def _all(
        self, name: ContractName, function: str, calls: list[ContractCall]
    ) -> list[tuple[Any, ...]]:  # whatever the ABI says
        return self._chain.call_all(name, function, calls, block_number=self._block_number)


def _room(limit: int, used: int) -> int | None:
    return None if limit >= UNLIMITED else limit - used


def _octets(address: str | bytes) -> bytes:
    return address if isinstance(address, bytes) else bytes.fromhex(address.removeprefix("0x"))

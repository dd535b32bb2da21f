"""Which events a consumer wants."""

from __future__ import annotations

from dataclasses import dataclass

import contracts
from node.block import Log
from node.events.decoder import contract_at, events_of, topics_of
from node.history import NUMBER_MAX, PAGE_BYTES_MAX, LogPageQuery, LogPlace
from node.primitives import Address, Hash32


@dataclass(frozen=True, slots=True)
class EventSelection:
    """All conditions must hold; an empty one holds always."""

    addresses: tuple[Address, ...] = ()
    topics: tuple[tuple[Hash32, ...], ...] = ()
    """By position, any of these. Not together with names or payments."""
    names: tuple[str, ...] = ()
    """Events of our own contracts by any of these names."""
    payment_ids: tuple[Hash32, ...] = ()
    """Events of PaymentSettlement about any of these payments."""

    def query(
        self,
        after: LogPlace,
        logs_max: int,
        *,
        to_number: int = NUMBER_MAX,
        bytes_max: int = PAGE_BYTES_MAX,
    ) -> LogPageQuery:
        """The question to the log indexes whose pages hold just these events."""
        addresses = self.addresses
        if self.payment_ids and not addresses:
            addresses = (Address(contracts.SETTLEMENT_ADDRESS),)
        return LogPageQuery(
            after=after,
            logs_max=logs_max,
            to_number=to_number,
            bytes_max=bytes_max,
            addresses=addresses,
            topics=self._index_topics(),
            accepts=self._is_of_our_contracts,
        )

    def _index_topics(self) -> tuple[tuple[Hash32, ...], ...]:
        if not self.names and not self.payment_ids:
            return self.topics
        named = tuple(topic for name in self.names for topic in topics_of(name))
        return (named, self.payment_ids) if self.payment_ids else (named,)

    def _is_of_our_contracts(self, log: Log) -> bool:
        """Whether a log that the indexes gave is what the names and payments stand for."""
        contract = contract_at(log.address)
        if self.payment_ids and contract != "PaymentSettlement":
            return False
        if not self.names and not self.payment_ids:
            return True
        if contract is None or not log.topics:
            return False
        event = events_of(contract).get(log.topics[0])
        if event is None or (self.names and event["name"] not in self.names):
            return False
        return not self.payment_ids or any(
            each["name"] == "paymentId" and each["indexed"] for each in event["inputs"]
        )

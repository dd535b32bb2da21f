"""The participants of the network, as the registry on the chain has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.chain.encoding import AccountKind
from bridge.config import ROLE_NAMES
from bridge.errors import ParticipantAccountMissing, ParticipantUnknown

_BIC_CHARACTERS: Final = 11


@dataclass(frozen=True, slots=True)
class ParticipantAccount:
    """One account on the chain: its registry reference, its address, what it is for."""

    reference: bytes
    address: bytes
    kind: AccountKind


@dataclass(frozen=True, slots=True)
class Participant:
    """One institution. `is_admitted` is false while it is suspended."""

    lei: str
    bic: str
    country: str
    is_admitted: bool
    roles: frozenset[str]
    sealing_key: bytes
    signing_key: bytes
    endpoint: str
    accounts: tuple[ParticipantAccount, ...]

    @property
    def settlement_reference(self) -> bytes:
        """Registry reference of the account that holds its tokens."""
        return self.account(AccountKind.SETTLEMENT).reference

    @property
    def settlement_address(self) -> bytes:
        """Address of the account that holds its tokens."""
        return self.account(AccountKind.SETTLEMENT).address

    def account(self, kind: AccountKind) -> ParticipantAccount:
        """Its first account of a kind; raises `ParticipantAccountMissing`."""
        for account in self.accounts:
            if account.kind is kind:
                return account
        raise ParticipantAccountMissing(self.lei, kind.name.lower())

    def addresses(self, kind: AccountKind) -> frozenset[bytes]:
        """The addresses of all its accounts of a kind."""
        return frozenset(account.address for account in self.accounts if account.kind is kind)


class Directory:
    """Every participant, admitted or suspended, found by any of its names."""

    def __init__(self, participants: Iterable[Participant]) -> None:
        self.participants = tuple(participants)
        self._by_lei = {each.lei: each for each in self.participants}
        self._by_bic = {_full_bic(each.bic): each for each in self.participants}
        self._by_reference = {
            account.reference: each for each in self.participants for account in each.accounts
        }
        self._by_address = {
            account.address: each for each in self.participants for account in each.accounts
        }

    def by_lei(self, lei: str) -> Participant:
        """The participant with this LEI; raises `ParticipantUnknown`."""
        found = self._by_lei.get(lei)
        if found is None:
            raise ParticipantUnknown(lei)
        return found

    def find_bank(self, bic: str) -> Participant | None:
        """The admitted bank with this BIC; the short form stands for the head office (ISO 9362)."""
        found = self._by_bic.get(_full_bic(bic))
        return found if found and found.is_admitted and "bank" in found.roles else None

    def owner_of(self, reference: bytes) -> Participant | None:
        """Whose account a registry reference names."""
        return self._by_reference.get(reference)

    def owner_of_address(self, address: bytes) -> Participant:
        """Whose account is at an address; raises `ParticipantUnknown`."""
        found = self._by_address.get(address)
        if found is None:
            raise ParticipantUnknown(f"0x{address.hex()}")
        return found


def role_names(bits: int) -> frozenset[str]:
    """The roles in the registry's bit set."""
    return frozenset(name for bit, name in enumerate(ROLE_NAMES) if bits >> bit & 1)


def _full_bic(bic: str) -> str:
    return bic.ljust(_BIC_CHARACTERS, "X")

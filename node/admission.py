"""May this transaction enter a block? The one set of questions, asked in one order.

Place in the flow: the pool (`Chain.check`), the proposal, its validation and execution ask here, and so does the dry
run `corridor_isTransactionAllowed`. An answer depends on nothing but the bytes, the state after a block (the *parent*)
and the environment of the block that follows it:

1. the static check (`transaction.check_transaction`), where there are signed bytes;
2. the registry's verdict on the sender (`permissions`);
3. the sender's account: the nonce is not used, it has no code, the balance pays for value and fees.

A nonce above the sender's is no refusal here: whoever makes a block asks for its turn, the pool lets it wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from node.engine import AccountState, Engine
from node.errors import InsufficientFunds, NonceTooLow, SenderHasCode, SenderNotPermitted
from node.permissions import ParentState, Permissions
from node.primitives import EMPTY_CODE_HASH, ZERO_ADDRESS, ZERO_HASH, Address, Hash32
from node.transaction import CheckedTransaction, check_transaction

ACCOUNTS_MAX: Final = 16_384
"""Accounts remembered at one state root."""


@dataclass(frozen=True, slots=True)
class Intention:
    """What a transaction would do, as far as its admission depends on it."""

    sender: Address
    to: Address | None
    """None: create a contract."""
    cost_max: int
    """The most its sender may have to pay, in wei."""
    nonce: int | None = None
    """None: whichever is the sender's next."""


class _Accounts:
    """Accounts at one state root. Safe between threads: a newer root brings a new table."""

    def __init__(self) -> None:
        self._table: tuple[Hash32, dict[Address, AccountState]] = (ZERO_HASH, {})

    def get(self, root: Hash32, address: Address) -> AccountState | None:
        known_root, accounts = self._table
        return accounts.get(address) if known_root == root else None

    def put(self, root: Hash32, address: Address, account: AccountState) -> None:
        known_root, accounts = self._table
        if known_root != root or len(accounts) >= ACCOUNTS_MAX:
            accounts = {}
            self._table = (root, accounts)
        accounts[address] = account


@dataclass(frozen=True, slots=True)
class Admission:
    """The questions, put to one engine. Safe between threads."""

    engine: Engine
    permissions: Permissions
    _accounts: _Accounts = field(default_factory=_Accounts, init=False)

    def account(self, root: Hash32, address: Address) -> AccountState:
        """An account at a root, remembered for the root asked about last: a sender sends many."""
        found = self._accounts.get(root, address)
        if found is None:
            found = self.engine.account(root, address)
            self._accounts.put(root, address, found)
        return found

    def check(self, raw: bytes, parent: ParentState) -> CheckedTransaction:
        """The transaction, if it may enter the block after `parent`, now or after a gap; else raises why not.

        Raises the first refusal: the static check's, SenderNotPermitted, NonceTooLow, SenderHasCode,
        InsufficientFunds.
        """
        checked = self.check_without_account(raw, parent)
        self.check_account(_intention_of(checked), parent)
        return checked

    def check_without_account(self, raw: bytes, parent: ParentState) -> CheckedTransaction:
        """The first two questions: what does not depend on the transactions before it in a block."""
        checked = check_transaction(raw, chain_id=parent.env.chain_id, rules=parent.env.rules)
        self.permissions.check(checked, parent)
        return checked

    def check_intention(self, intention: Intention, parent: ParentState) -> None:
        """The last two questions, of a transaction that nobody has signed yet."""
        if not self.permissions.is_allowed(intention.sender, intention.to, parent):
            raise SenderNotPermitted(intention.sender, intention.to or ZERO_ADDRESS)
        self.check_account(intention, parent)

    def check_account(self, intention: Intention, parent: ParentState) -> None:
        """The last question."""
        account = self.account(parent.root, intention.sender)
        if intention.nonce is not None and intention.nonce < account.nonce:
            raise NonceTooLow(expected=account.nonce, given=intention.nonce)
        check_means(account, sender=intention.sender, cost_max=intention.cost_max)


def check_means(account: AccountState, *, sender: Address, cost_max: int) -> None:
    """Raises SenderHasCode, or InsufficientFunds where the account cannot pay what it may have to."""
    if account.code_hash != EMPTY_CODE_HASH:
        raise SenderHasCode(sender)
    if cost_max > account.balance:
        raise InsufficientFunds(cost=cost_max, balance=account.balance)


def _intention_of(checked: CheckedTransaction) -> Intention:
    transaction = checked.transaction
    return Intention(checked.sender, transaction.to, transaction.cost_max, transaction.nonce)

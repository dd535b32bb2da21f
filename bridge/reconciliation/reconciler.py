"""Reads every side's items, matches them, judges what is left; and compares totals at each block.

`check_totals` is for every block, `check_items` for every so many seconds. Reading, matching and
writing are steps of their own: a reader of the database waits for none of them, a writer never long.
What dies in between is done again from what was kept. Everything is judged by the times in it and
the clock that is given.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bridge import chart
from bridge.breaks import BreakType
from bridge.config import Role
from bridge.institution import Institution
from bridge.matching import Group, Result, Side, judge, match
from bridge.money import Amount, Currency, parse_currency
from bridge.reconciliation.findings import Finding, Findings, Place
from bridge.reconciliation.totals import Comparison, compare
from bridge.store import StatedAccount, UnitOfWork
from bridge.store.movements import TAKE_MAX
from bridge.store.reconciliation_items import Comparand, ItemState, NewItem

TOKENS: Final = "tokens"
RESERVES: Final = "reserves"
SUPPLY: Final = "supply"
"""What is compared."""

SIDES: Final = {
    TOKENS: frozenset({Side.LEDGER, Side.CHAIN, Side.STATEMENT}),
    RESERVES: frozenset({Side.LEDGER, Side.STATEMENT}),
    SUPPLY: frozenset({Side.LEDGER, Side.CHAIN}),
}
"""Who must agree on it."""

TOTAL: Final = "total"
EVENTS: Final = "events"
STATED: Final = "stated"
"""Subjects of breaks about totals: the balance, the events behind it, the statement's balance."""

WRITE_CHUNK: Final = 5_000
"""Items whose state one transaction changes."""

ITEM_BREAKS_MAX: Final = 1_000
"""Most breaks about items that one comparison opens; the total says so in any case."""


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What is known besides the items, to judge which of them are late.

    `covered_block` and `covered_at` say how far statements reach, `expected` are the keys of
    issuances not minted yet and of entries that are pending.
    """

    now: int
    grace: int
    covered_block: int
    covered_at: int
    expected: frozenset[str]


class Reconciler:
    """The reconciliation of one institution; used by one thread."""

    def __init__(self, institution: Institution) -> None:
        self._institution = institution
        self._findings = Findings(institution)

    def check_totals(self) -> None:
        """Compare totals at the block that the ledger has followed to, in every currency.

        Raises `ChainNotFollowed` before the first block and `NodeUnavailable`.
        """
        for currency in self._currencies():
            comparison = compare(self._institution, currency)
            place = self._place(self._token_scope, currency, comparison.block_number)
            self._findings.keep(place, list(_totals(comparison)), {TOTAL, EVENTS})

    def check_items(self) -> None:
        """Read, match and judge the items of everything that is compared here."""
        for currency in self._currencies():
            for scope in self._scopes():
                self._check(scope, currency)

    @property
    def _is_central_bank(self) -> bool:
        return self._institution.settings.role is Role.CENTRAL_BANK

    @property
    def _token_scope(self) -> str:
        return SUPPLY if self._is_central_bank else TOKENS

    def _scopes(self) -> tuple[str, ...]:
        return (SUPPLY,) if self._is_central_bank else (TOKENS, RESERVES)

    def _currencies(self) -> list[Currency]:
        return [parse_currency(code) for code in self._institution.settings.currencies]

    def _place(self, scope: str, currency: Currency, block: int) -> Place:
        is_own = self._is_central_bank
        issuer = self._institution.lei if is_own else self._issuer(currency)
        return Place(scope, currency, issuer, self._institution.clock(), block)

    def _issuer(self, currency: Currency) -> str:
        return self._institution.chain.issuer_of(currency.code)

    def _check(self, scope: str, currency: Currency) -> None:
        comparand = Comparand(scope, currency.code)
        # First of all: the lines of a statement that comes later are not read yet.
        covered = self._covered(comparand)
        while self._read(comparand, currency):
            pass
        with self._institution.store.reading() as work:
            block = work.chain_log.position().number
            outlook = self._outlook(work, scope, currency, covered)
            result = match(work.reconciliation_items.open(comparand), SIDES[scope])
            findings = list(self._judge(work, comparand, currency, (result, outlook)))
        self._keep_matched(result)
        self._findings.keep(self._place(scope, currency, block), findings)

    def _read(self, comparand: Comparand, currency: Currency) -> bool:
        """Take in what is new on every side; whether there may be more.

        The statement's balance is looked at in the same transaction, so that it and what the items add
        up to are of one moment.
        """
        with self._institution.store.unit_of_work() as work:
            is_full = self._read_ledger(work, comparand, currency)
            if Side.CHAIN in SIDES[comparand.scope]:
                is_full |= self._read_chain(work, comparand, currency)
            if Side.STATEMENT in SIDES[comparand.scope]:
                is_full |= self._read_statement(work, comparand)
            if not is_full and comparand.scope == RESERVES:
                self._check_stated(work, comparand, currency)
        return is_full

    def _account_id(self, scope: str, currency: Currency) -> str:
        if scope == SUPPLY:
            return chart.tokens_outstanding(currency)
        return chart.tokens(currency) if scope == TOKENS else chart.reserves(currency)

    def _read_ledger(self, work: UnitOfWork, comparand: Comparand, currency: Currency) -> bool:
        account_id = self._account_id(comparand.scope, currency)
        taken = work.movements.take(account_id)
        work.reconciliation_items.add(
            comparand,
            (
                NewItem(Side.LEDGER, each.movement_id, each.key, each.amount, each.at)
                for each in taken
            ),
        )
        return not work.movements.is_read(account_id)

    def _read_chain(self, work: UnitOfWork, comparand: Comparand, currency: Currency) -> bool:
        feed = f"flows:{comparand.scope}:{currency.code}"
        flows = work.token_flows.after(work.movements.position(feed), currency, TAKE_MAX)
        moves_supply = {"issue", "redeem", "other"}
        work.reconciliation_items.add(
            comparand,
            (
                NewItem(
                    Side.CHAIN,
                    str(flow.sequence),
                    flow.key,
                    flow.amount,
                    flow.at,
                    flow.block_number,
                )
                for flow in flows
                if comparand.scope != SUPPLY or flow.kind in moves_supply
            ),
        )
        if flows:
            work.movements.move(feed, flows[-1].sequence)
        return len(flows) == TAKE_MAX

    def _read_statement(self, work: UnitOfWork, comparand: Comparand) -> bool:
        account = self._stated(comparand)
        feed = f"lines:{comparand.scope}:{comparand.currency}"
        found = work.account_statements.lines_after(
            account, work.movements.position(feed), TAKE_MAX
        )
        work.reconciliation_items.add(
            comparand,
            (
                NewItem(Side.STATEMENT, str(line.number), line.key, line.amount, line.at)
                for _, line in found
            ),
        )
        if found:
            work.movements.move(feed, found[-1][0])
        return len(found) == TAKE_MAX

    def _stated(self, comparand: Comparand) -> StatedAccount:
        return StatedAccount(comparand.scope, self._institution.lei, comparand.currency)

    def _check_stated(self, work: UnitOfWork, comparand: Comparand, currency: Currency) -> None:
        """Whether the items that are not matched explain all that ledger and statement differ by."""
        account = self._stated(comparand)
        line = work.account_statements.last_line(account)
        if line is None or self._is_gap_young(work, account):
            return
        ledger = work.ledger.balance_anew(self._account_id(comparand.scope, currency)).ledger
        sums = work.reconciliation_items.sums(comparand)
        open_ledger, open_stated = sums.get(Side.LEDGER, 0), sums.get(Side.STATEMENT, 0)
        gap = (ledger.minor_units - open_ledger) - (line.balance - open_stated)
        note = f"ledger {ledger}, statement line {line.number} at {Amount(currency, line.balance)}"
        findings = (
            [Finding(STATED, BreakType.TOTAL_DIFFERS, Amount(currency, gap), note)] if gap else []
        )
        place = self._place(comparand.scope, currency, work.chain_log.position().number)
        self._findings.apply(work, place, findings, {STATED})

    def _is_gap_young(self, work: UnitOfWork, account: StatedAccount) -> bool:
        """Whether lines are missing that may yet come: messages of two kinds pass each other."""
        if work.account_statements.is_whole(account):
            return False
        _, covered_at = work.account_statements.coverage(account)
        settings = self._institution.settings
        return self._institution.clock() <= covered_at + settings.reconcile_grace_seconds

    def _covered(self, comparand: Comparand) -> tuple[int, int]:
        """The block and the UTC second to which statements that have come reach; -1 without any."""
        if Side.STATEMENT not in SIDES[comparand.scope]:
            return -1, -1
        account = self._stated(comparand)
        with self._institution.store.reading() as work:
            if self._is_gap_young(work, account):
                return -1, -1
            return work.account_statements.coverage(account)

    def _outlook(
        self, work: UnitOfWork, scope: str, currency: Currency, covered: tuple[int, int]
    ) -> _Outlook:
        covered_block, covered_at = covered
        return _Outlook(
            now=self._institution.clock(),
            grace=self._institution.settings.reconcile_grace_seconds,
            covered_block=covered_block,
            covered_at=covered_at,
            expected=work.issuances.keys_on_their_way(currency)
            | work.movements.awaited(self._account_id(scope, currency)),
        )

    def _judge(
        self,
        work: UnitOfWork,
        comparand: Comparand,
        currency: Currency,
        found: tuple[Result, _Outlook],
    ) -> Iterator[Finding]:
        result, outlook = found
        late = (group for group in result.left if _is_late(group, comparand.scope, outlook))
        for number, group in enumerate(late):
            if number == ITEM_BREAKS_MAX:
                return
            was_matched = work.reconciliation_items.was_matched(comparand, group.key)
            break_type, units = judge(group, SIDES[comparand.scope], was_matched=was_matched)
            sums = {side.value: Amount(currency, units) for side, units in group.sums.items()}
            note = ", ".join(f"{side} {amount}" for side, amount in sorted(sums.items()))
            yield Finding(group.key, break_type, Amount(currency, units), note)

    def _keep_matched(self, result: Result) -> None:
        sequences = _sequences(result.matched)
        while chunk := list(islice(sequences, WRITE_CHUNK)):
            with self._institution.store.unit_of_work() as work:
                work.reconciliation_items.set_state(chunk, ItemState.MATCHED)


def _totals(comparison: Comparison) -> Iterator[Finding]:
    if comparison.unexplained:
        note = (
            f"ledger {comparison.ledger}, of which on their way {comparison.on_their_way}; "
            f"chain {comparison.chain}"
        )
        yield Finding(TOTAL, BreakType.TOTAL_DIFFERS, comparison.unexplained, note)
    if comparison.unheard:
        note = f"events add up to {comparison.events}, the chain has {comparison.chain}"
        yield Finding(EVENTS, BreakType.TOTAL_DIFFERS, comparison.unheard, note)


def _is_late(group: Group, scope: str, outlook: _Outlook) -> bool:
    """Whether what is missing should be there by now.

    Ledger and chain are written by one transaction per block, so between them nothing is ever late; a
    statement is late once one has come that reaches beyond the item.
    """
    present = group.sums.keys()
    is_old = outlook.now > group.at + outlook.grace
    if group.key in outlook.expected:
        return False
    if Side.STATEMENT not in SIDES[scope]:
        return Side.CHAIN in present or is_old
    if Side.STATEMENT in present:
        return is_old
    if scope == TOKENS and present != {Side.LEDGER, Side.CHAIN}:
        return True
    if group.block:
        return outlook.covered_block >= group.block
    return outlook.covered_at > group.at + outlook.grace


def _sequences(groups: Iterable[Group]) -> Iterator[int]:
    return (item.sequence for group in groups for item in group.items)

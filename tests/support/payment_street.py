"""Two banks over a simulated chain, each with its real store, worker, follower and submitter; either may
die between any two commits and comes back on the same database.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx

from bridge import chart
from bridge.approval import ProposalState
from bridge.auditing import Auditor
from bridge.centralbank.funding import Funding
from bridge.chain import ChainClient, Directory, Follower, Submitter
from bridge.config import Settings
from bridge.errors import PeerRefused, PeerUnavailable, Rejected, Unavailable
from bridge.institution import Institution
from bridge.interbank import Courier, Heading, Interbank, Kind, Received, take
from bridge.iso20022.identifiers import parse_country
from bridge.iso20022.messages import AccountIdentification, Agent, Party, PostalAddress
from bridge.iso20022.parse import parse_initiation
from bridge.money import Amount, parse_currency
from bridge.opening import open_books
from bridge.operating import FourEyes, Operator, Wish
from bridge.payment import Direction, Payment
from bridge.settlement.acceptance import receivers
from bridge.settlement.initiation import initiate
from bridge.settlement.interventions import settlement_actions
from bridge.settlement.observation import Observer
from bridge.settlement.order import Answer, Order
from bridge.settlement.submission import Submission, courses
from bridge.store import Customer, Store, UnitOfWork
from bridge.worker import Worker
from support.bridge_api import (
    ALICE_IBAN,
    GENESIS_HASH,
    NOW,
    bank_document,
    make_network,
    settings_document,
)
from support.participants import BANK_A, BANK_B
from support.simulated_chain import SimulatedChain

EUR = parse_currency("EUR")
BOB_ACCOUNT = "0720123456"
ALICE, BOB = chart.deposit(ALICE_IBAN), chart.deposit(BOB_ACCOUNT)
TOKENS, SUSPENSE = chart.tokens(EUR), chart.suspense(EUR)
EXAMPLE = Path(__file__).parents[2] / "examples" / "pain.001.xml"
NETWORK = make_network()
STEPS_MAX = 300


class Crash(BaseException):
    """The process dies here."""


class MortalStore(Store):
    """A store whose process may die at a commit: `commits_left` counts down, then `Crash`.

    The last commit is made or not, as `is_lost` says; the process dies either way.
    """

    commits_left: int | None = None
    is_lost = False

    @contextmanager
    def unit_of_work(self) -> Iterator[UnitOfWork]:
        with super().unit_of_work() as work:
            yield work
            if self.commits_left == 0 and self.is_lost:
                raise Crash
        if self.commits_left is not None:
            if self.commits_left == 0:
                raise Crash
            self.commits_left -= 1


class Wire:
    """What carries sealed messages, unsealed: to the other bank at once, or not at all."""

    def __init__(self, sender: str, street: "Street") -> None:
        self._sender = sender
        self._street = street
        keys, directory = NETWORK[sender].keys, street.chain.directory
        self.copyist = Interbank(sender, keys, directory, httpx.Client(), GENESIS_HASH).copyist

    def send(self, lei: str, kind: Kind, body: Mapping[str, str], heading: Heading) -> None:
        if self._street.is_cut:
            raise PeerUnavailable(lei)
        if lei not in self._street.banks:
            self._street.copies.append(body["copy"].encode())  # for the central bank
            return
        if self._street.hides_copies:
            body = {name: text for name, text in body.items() if name != "copy"}
        try:
            institution = self._street.banks[lei].institution
            received = Received(self._sender, kind, body, heading=heading)
            take(institution.store, receivers(institution), received, at=institution.clock())
        except Crash as crash:
            self._street.restart(lei)
            raise PeerUnavailable(lei) from crash
        except Rejected as refusal:
            raise PeerRefused(lei, refusal.code) from refusal
        except Unavailable as error:
            raise PeerUnavailable(lei) from error


class Bank:
    """One bank's process, from its start to its death."""

    def __init__(self, lei: str, folder: Path, street: "Street", settings: Settings) -> None:
        chain = cast(ChainClient, street.chain)
        self.store = MortalStore.open(folder / f"{lei}.sqlite")
        clock = street.clock
        open_books(self.store, settings, NOW)
        with self.store.unit_of_work() as work:
            work.effects.release_all(clock())
            work.deliveries.release_all(clock())
        self.institution = Institution(
            settings=settings,
            store=self.store,
            chain=chain,
            interbank=cast(Interbank, Wire(lei, street)),
            clock=clock,
            salt=street.salt,
            secret=lei.encode(),
        )
        self.submitter = Submitter(self.store, chain, NETWORK[lei].quoting, clock)
        auditor = Auditor(self.store, chain, self.submitter, lei, 86_400, clock)
        observer = Observer(self.institution, Funding(self.institution, self.submitter), auditor)
        self.follower = Follower(self.store, chain, observer.observe)
        handlers = Submission(self.institution, self.submitter).handlers()
        self.worker = Worker(self.store, handlers, clock, "worker")
        self.courier = Courier(
            self.store, self.institution.interbank, courses(self.institution), clock, "courier"
        )
        self.four_eyes = FourEyes(self.store, settlement_actions(self.institution), clock)

    def works(self) -> bool:
        """Everything there is to do now; whether there was anything."""
        count = self.follower.catch_up()
        for step in range(STEPS_MAX):
            if not (self.worker.step() or self.courier.step()):
                break
            count += 1
            assert step < STEPS_MAX - 1, "a worker never comes to rest"
        return bool(count)

    def payments(self) -> list[Payment]:
        with self.store.reading() as work:
            return list(work.payments.page(limit=200).items)

    def balance(self, account_id: str) -> int:
        with self.store.reading() as work:
            return work.ledger.balance(account_id).ledger.minor_units

    def available(self, account_id: str) -> int:
        with self.store.reading() as work:
            return work.ledger.balance(account_id).available.minor_units

    def approves(self, kind: str, subject: str, **document: str) -> None:
        """Two operators agree on an action."""
        wish = Wish(kind, subject, document, "agreed")
        proposal = self.four_eyes.propose(Operator("olga"), wish, f"{kind}:{subject}:{document}")
        decided = self.four_eyes.approve(Operator("otto"), proposal.proposal_id)
        assert decided.state is ProposalState.APPROVED


class Street:
    """Bank A with Alice, bank B with Bob, the chain between them, one clock."""

    def __init__(self, folder: Path, **settings_changes: object) -> None:
        self._folder = folder
        self._salts = 0
        self._changes = settings_changes
        self.is_cut = False
        self.hides_copies = False
        self.copies: list[bytes] = []
        self.chain = SimulatedChain(
            known=Directory(keys.participant for keys in NETWORK.values()),
            lei_by_sender={NETWORK[lei].quoting.address: lei for lei in (BANK_A, BANK_B)},
            now=NOW,
            balances={(BANK_A, "EUR"): 500_000, (BANK_B, "EUR"): 0},
        )
        self.banks = {lei: self._start(lei) for lei in (BANK_A, BANK_B)}

    @property
    def a(self) -> Bank:
        return self.banks[BANK_A]

    @property
    def b(self) -> Bank:
        return self.banks[BANK_B]

    def clock(self) -> int:
        return self.chain.now

    def salt(self) -> bytes:
        self._salts += 1
        return self._salts.to_bytes(32, "little")

    def restart(self, lei: str) -> None:
        """The bank's process ends wherever it is and starts again."""
        self.banks[lei].store.close()
        self.banks[lei] = self._start(lei)

    def run(self, lei: str) -> None:
        """One bank works until nothing is due; it dies on the way if its store says so."""
        try:
            self.banks[lei].works()
        except Crash:
            self.restart(lei)

    def settle_down(self, seconds: int = 0) -> None:
        """Let everything happen that is due, for so many seconds."""
        for _ in range(seconds + 1):
            for _ in range(STEPS_MAX):
                moved = [self.banks[lei].works() for lei in (BANK_A, BANK_B)]
                for bank in self.banks.values():
                    bank.submitter.resend_outstanding()
                if not self.chain.mine() and not any(moved):
                    break
            self.chain.now += 1

    def pays(self, key: str, cents: int) -> Answer:
        """Alice's order of an amount to Bob."""
        instruction = parse_initiation(EXAMPLE.read_bytes()).instructions[0]
        address = PostalAddress(town="Frankfurt am Main", country=parse_country("DE"))
        client = Customer("alice", "Alice Lindner", address, b"")
        order = replace(
            instruction,
            debtor=Party(name=client.name, address=address),
            creditor_account=AccountIdentification(other=BOB_ACCOUNT),
            creditor_agent=Agent(bic=instruction.creditor_agent.bic),
            instructed_amount=Amount(EUR, cents),
            requested_execution_date=datetime.fromtimestamp(self.clock(), UTC).date(),
            uetr=None,
        )
        return initiate(self.a.institution, Order(client=client, key=key, instruction=order))

    def settled(self, cents: int = 10_000, key: str = "one") -> Payment:
        """A payment of Alice's to Bob that has settled, as Bob's bank keeps it."""
        answer = self.pays(key, cents)
        self.settle_down()
        with self.a.store.reading() as work:
            sent = work.payments.get(str(answer.body["id"]))
        return self.b_side(sent)

    def b_side(self, payment: Payment) -> Payment:
        """The same payment as bank B keeps it."""
        return _other(self.b, payment)

    def a_side(self, payment: Payment) -> Payment:
        """The same payment as bank A keeps it."""
        return _other(self.a, payment)

    def _start(self, lei: str) -> Bank:
        return Bank(lei, self._folder, self, _settings(lei, self._changes))


def _other(bank: Bank, payment: Payment) -> Payment:
    opposite = {Direction.INCOMING: Direction.OUTGOING, Direction.OUTGOING: Direction.INCOMING}
    with bank.store.reading() as work:
        found = work.payments.by_settlement_id(payment.settlement_id, opposite[payment.direction])
    assert found is not None
    return found


def _settings(lei: str, changes: Mapping[str, Any]) -> Settings:
    document = {**bank_document(), "fx_provider_lei": None, "fee": {}}
    if lei == BANK_B:
        document = {**settings_document(BANK_B, "bank", ["EUR"]), "bic": "STHBSGS0XXX"}
        account = {"scheme": "other", "identification": BOB_ACCOUNT, "currency": "EUR"}
        document["customers"] = [
            {
                "customer_id": "bob",
                "name": "Bob Tan Wei Ming",
                "address": {"town": "Singapore", "country": "SG"},
                "token_sha256": "ab" * 32,
                "accounts": [account],
            }
        ]
    document |= {"return_four_eyes_above": {"EUR": "50.00"}}
    return Settings.model_validate({**document, **changes})

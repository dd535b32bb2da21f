"""The composition root: the only file that builds a bridge's objects and starts its threads.

    serve    API, worker and follower in one process, the one writer of its database
    attest   a central bank's attesting process: own key, own database, RTGS read only
    resolve  a liquidity service: own key, own database, nobody's books

A bridge starts in this order: keys, store, books (accounts, customers, opening entries, each made
once), the node's chain checked against the settings, and only then threads and API. A fault in the
follower or the worker that no retry can mend ends the process: it is restarted by whoever watches
it, and goes on from what was committed.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, assert_never

import httpx
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from bridge import chart
from bridge.api import Readiness, Services, create_api, create_interbank_api
from bridge.auditing import ANCHOR, Auditor
from bridge.centralbank import funding, issuing
from bridge.centralbank.attesting import Attester
from bridge.centralbank.funding import Funding
from bridge.centralbank.issuing import Issuing
from bridge.chain import ChainClient, Follower, Submitter
from bridge.config import LiquiditySettings, Role, Settings
from bridge.credit_lines import SET_CREDIT_LIMIT, set_credit_limit
from bridge.errors import SettingsInvalid, StoreBusy, Unavailable
from bridge.fx import QuoteDesk, Terminal
from bridge.holds import EXPIRE_HOLD, TAKE_FROM_HOLD, Holds, take_from_hold
from bridge.institution import Institution
from bridge.interbank import Courier, Courses, Interbank, Receivers
from bridge.interbank.tls import client_context, server_context
from bridge.keys import KeystoreSigner, MessageKeys
from bridge.metrics import BridgeMetrics
from bridge.money import parse_currency
from bridge.opening import open_books
from bridge.operating import Action, FourEyes
from bridge.resolving import Resolver
from bridge.retail import business, register
from bridge.retail.business import RetailBusiness
from bridge.retail.register import Register
from bridge.revival import REVIVE_EFFECT, revive_effect
from bridge.serving import STOP_SECONDS_MAX, Face, listen, serve_faces
from bridge.settlement import acceptance, submission, supervision
from bridge.settlement.observation import Observer
from bridge.settlement.occurrences import DueDates
from bridge.settlement.scheduling import EXECUTE
from bridge.settlement.submission import Submission
from bridge.shredding import SHRED_MESSAGES, shred_messages
from bridge.store import MasterKey, Store
from bridge.store.effects import EVERYTHING, Lane
from bridge.telemetry import get_logger
from bridge.worker import Handler, Worker

NODE_WAIT_SECONDS_MAX: Final = 30
"""How long a starting bridge waits for its node, and an attester for its central bank's database."""

RECURSION_MAX: Final = 1_000
"""Depth at which Python itself stops. Importing a cryptographic library raises it so far that
nested JSON from anybody would overflow the stack and end the process."""

WAIT_STEP_SECONDS: Final = 0.2
"""How often what is waited for at the start is tried."""

FOLLOW_SECONDS: Final = 0.1
"""How often the node is asked for a new block."""

RESEND_SECONDS: Final = 2
"""Age from which a transaction that is not final is sent again."""

BEHIND_SECONDS_MAX: Final = 10
"""Longest time since the ledger was last level with the node's head, for a ready bridge."""

SETTLING_WORKERS: Final = 2
"""Threads that work off effects, and never wait for another institution: the chain has deadlines."""

ASKING_WORKERS: Final = 2
"""Threads that also wait for other institutions' answers to questions."""

COURIERS: Final = 4
"""Threads that deliver messages; an institution that does not answer holds up one of them."""

PEER_EFFECTS: Final = frozenset(
    {funding.REQUEST, EXECUTE, register.DELIVER, *business.PEER_EFFECTS}
)
"""Kinds of effects that wait for the answer of another institution."""

SECRET_BYTES: Final = 32
"""Bytes of the institution's own secret and of a commitment's salt."""

_Found = TypeVar("_Found")


def utc_seconds() -> int:
    """The clock of a running bridge."""
    return time.time_ns() // 1_000_000_000


class Runtime:
    """One bridge with everything it runs on.

    `prepare`, then `start`; when `stop` is set (by a signal, or by a thread that failed) its
    threads end, and `close` gives everything back. `failure` is what ended a thread, if anything.
    """

    def __init__(
        self,
        settings: Settings,
        stop: threading.Event,
        clock: Callable[[], int] = utc_seconds,
    ) -> None:
        self.stop = stop
        self.failure: Exception | None = None
        secret = _read_secret(settings.secret_file)
        self.store = Store.open(
            settings.database,
            migrates=settings.migrates_at_start,
            master=_master_key(settings, secret),
        )
        self._settings = settings
        self._clock = clock
        tls = settings.interbank_tls
        self._http = httpx.Client(
            trust_env=False, verify=True if tls is None else client_context(tls, settings.lei)
        )
        chain = ChainClient(settings.node_url, settings.chain_id)
        self.institution = Institution(
            settings=settings,
            store=self.store,
            chain=chain,
            interbank=Interbank(
                settings.lei,
                MessageKeys.load(settings.message_keys),
                chain.directory,
                self._http,
                bytes.fromhex(settings.genesis_hash.removeprefix("0x")),
                is_tls_demanded=tls is not None,
            ),
            clock=clock,
            salt=lambda: os.urandom(SECRET_BYTES),
            secret=secret,
        )
        signer = _load_signer(settings.operating_keystore, settings)
        self._submitter = Submitter(self.store, chain, signer, clock)
        self._issuing = Issuing(self.institution, self._submitter)
        self._funding = Funding(self.institution, self._submitter)
        self._auditor = Auditor(
            store=self.store,
            chain=chain,
            submitter=self._submitter,
            lei=settings.lei,
            anchor_seconds=settings.audit_anchor_seconds,
            clock=clock,
        )
        self._retail = RetailBusiness.of(self.institution)
        self._register = Register(self.institution)
        self._workers = {
            name: Worker(self.store, self._handlers(), clock, name, lane)
            for name, lane in _worker_lanes().items()
        }
        self._couriers = {
            name: Courier(self.store, self.institution.interbank, self._courses(), clock, name)
            for name in (f"courier-{number}" for number in range(1, COURIERS + 1))
        }
        observer = Observer(
            self.institution,
            self._issuing if settings.role is Role.CENTRAL_BANK else self._funding,
            self._auditor,
        )
        self._follower = Follower(self.store, chain, observer.observe)
        self._threads: list[threading.Thread] = []
        self._level_at: int | None = None

    @property
    def services(self) -> Services:
        """What the API needs of this bridge."""
        is_central_bank = self._settings.role is Role.CENTRAL_BANK
        return Services(
            institution=self.institution,
            readiness=self.readiness,
            four_eyes=FourEyes(self.store, self._actions(), self._clock),
            metrics=BridgeMetrics(self.store, lambda: self.readiness().is_ready, self._clock),
            desk=self._desk(),
            issuing=self._issuing if is_central_bank else None,
            receivers=self._receivers(),
            retail=self._retail,
            register=self._register if is_central_bank else None,
        )

    def prepare(self) -> None:
        """Make the books ready and make sure of the chain.

        Raises `SettingsInvalid`, `ChainWrong` for another chain than the settings name, and
        `NodeUnavailable` when the node does not answer within `NODE_WAIT_SECONDS_MAX`.
        """
        open_books(self.store, self._settings, self._clock())
        with self.store.unit_of_work() as work:
            work.effects.release_all(self._clock())
            work.deliveries.release_all(self._clock())
        await_chain(self.institution.chain, self._settings, self.stop)
        self._auditor.admit_loss()
        if self._retail is not None:
            self._retail.open()

    def start(self) -> None:
        """Start following the chain and working off effects."""
        loops: dict[str, Callable[[], None]] = {
            "follower": self._follow,
            "auditor": partial(self._auditor.run, self.stop),
        }
        loops |= {name: partial(worker.run, self.stop) for name, worker in self._workers.items()}
        loops |= {name: partial(each.run, self.stop) for name, each in self._couriers.items()}
        for name, loop in loops.items():
            thread = threading.Thread(target=self._guard, args=(name, loop), name=name)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """End the threads and give connections back."""
        self.stop.set()
        for worker in self._workers.values():
            worker.wake()
        for courier in self._couriers.values():
            courier.wake()
        for thread in self._threads:
            thread.join(STOP_SECONDS_MAX)
        self._http.close()
        self.store.close()

    def readiness(self) -> Readiness:
        """Whether the ledger is level with the node's head and both threads are at work."""
        waiting_for = [f"{thread.name}" for thread in self._threads if not thread.is_alive()]
        level_at = self._level_at
        if level_at is None or time.monotonic_ns() - level_at > BEHIND_SECONDS_MAX * 10**9:
            waiting_for.append("chain")
        return Readiness(is_ready=not waiting_for, waiting_for=tuple(waiting_for))

    def _handlers(self) -> Mapping[str, Handler]:
        everywhere: Mapping[str, Handler] = {ANCHOR: self._auditor.anchor}
        orders: Mapping[str, Handler] = {
            **everywhere,
            funding.REQUEST: self._funding.request,
            funding.REDEEM: self._funding.burn,
        }
        match self._settings.role:
            case Role.BANK:
                retail = {} if self._retail is None else self._retail.handlers()
                return {
                    **Submission(self.institution, self._submitter).handlers(),
                    **DueDates(self.institution).handlers(),
                    **orders,
                    **retail,
                    EXPIRE_HOLD: Holds(self.store, self._clock).expire,
                }
            case Role.FX_PROVIDER:
                return orders
            case Role.CENTRAL_BANK:
                return {
                    **everywhere,
                    issuing.ISSUE: self._issuing.issue,
                    register.DELIVER: self._register.deliver,
                }
            case _:
                assert_never(self._settings.role)

    def _receivers(self) -> Receivers:
        """How this institution takes each kind of message that is delivered to it."""
        if self._settings.role is Role.BANK:
            return acceptance.receivers(self.institution)
        if self._settings.role is Role.CENTRAL_BANK:
            return supervision.receivers(self.institution)
        return {}

    def _courses(self) -> Courses:
        """What else matters to each kind of message on its way out."""
        return submission.courses(self.institution) if self._settings.role is Role.BANK else {}

    def _actions(self) -> Mapping[str, Action]:
        return {
            REVIVE_EFFECT: revive_effect,
            SET_CREDIT_LIMIT: set_credit_limit,
            TAKE_FROM_HOLD: take_from_hold,
            SHRED_MESSAGES: shred_messages(self.institution),
        }

    def _desk(self) -> QuoteDesk | None:
        settings = self._settings
        if settings.role is not Role.FX_PROVIDER or settings.quoting_keystore is None:
            return None
        terminal = Terminal(
            lei=settings.lei,
            chain_id=settings.chain_id,
            rates=settings.rates,
            quote_seconds=settings.quote_seconds,
            settle_seconds=settings.settle_seconds,
            signer=_load_signer(settings.quoting_keystore, settings),
            may_queue=settings.quotes_may_queue,
        )
        institution = self.institution
        return QuoteDesk(terminal, self.store, institution.directory, self._clock, institution.salt)

    def _guard(self, name: str, loop: Callable[[], None]) -> None:
        """Run a thread's loop; what no retry can mend stops the whole process."""
        try:
            loop()
        except Exception as error:  # noqa: BLE001 - the outermost loop of the thread
            get_logger().error("thread_failed", thread=name, exc_info=error)
            self.failure = error
            self.stop.set()

    def _follow(self) -> None:
        resent_at = self._clock()
        is_away = False
        while not self.stop.is_set():
            try:
                while not self.stop.is_set() and self._follower.step():
                    pass
                self._level_at = time.monotonic_ns()
                if self._clock() >= resent_at + RESEND_SECONDS:
                    resent_at = self._clock()
                    self._resend(resent_at - RESEND_SECONDS)
                is_away = False
            except Unavailable as error:
                if not is_away:
                    get_logger().warning("chain_not_followed", error=str(error))
                is_away = True
            self.stop.wait(FOLLOW_SECONDS)

    def _resend(self, created_by: int) -> None:
        """Send again what was signed by then and is not final; the bytes are those kept."""
        with self.store.reading() as work:
            outstanding = work.transactions.outstanding()
        if any(transaction.created_at <= created_by for transaction in outstanding):
            self._submitter.resend_outstanding()


def _worker_lanes() -> Mapping[str, Lane]:
    """The workers by name: some that never wait for a peer, some that may."""
    settling = Lane(leaves=PEER_EFFECTS)
    return {
        **{f"settling-{number}": settling for number in range(1, SETTLING_WORKERS + 1)},
        **{f"asking-{number}": EVERYTHING for number in range(1, ASKING_WORKERS + 1)},
    }


def create_app(settings: Settings) -> FastAPI:
    """The bridge as an ASGI application that prepares, starts and ends its own runtime."""
    sys.setrecursionlimit(RECURSION_MAX)
    runtime = Runtime(settings, threading.Event())
    runtime.prepare()
    return _assemble(runtime)


def _assemble(runtime: Runtime) -> FastAPI:
    @contextlib.asynccontextmanager
    async def live(_: FastAPI) -> AsyncIterator[None]:
        runtime.start()
        try:
            yield
        finally:
            await run_in_threadpool(runtime.close)

    return create_api(runtime.services, live)


def serve(settings: Settings, stop: threading.Event, announce: Callable[[str], None]) -> bool:
    """Run a bridge until `stop` is set; whether it ended in order.

    `announce` is told the URL once requests are answered.
    """
    sys.setrecursionlimit(RECURSION_MAX)
    with contextlib.ExitStack() as listeners:
        listener = listeners.enter_context(listen(settings.port))
        tls = settings.interbank_tls
        interbank = None if tls is None else listeners.enter_context(listen(tls.port))
        runtime = Runtime(settings, stop)
        runtime.prepare()
        faces = [Face(_assemble(runtime), listener)]
        if tls is not None and interbank is not None:
            context = server_context(tls, settings.lei)
            faces.append(Face(create_interbank_api(runtime.services), interbank, context))
        serve_faces(faces, stop, lambda: announce(faces[0].url))
    return runtime.failure is None


def attest(settings: Settings, stop: threading.Event, announce: Callable[[], None]) -> None:
    """Keep the reserves of a central bank attested until `stop` is set.

    Raises `SettingsInvalid` for settings without a part that attesting needs.
    """
    if settings.role is not Role.CENTRAL_BANK:
        raise SettingsInvalid("settings", "role: only a central bank attests")
    if settings.attesting_keystore is None or settings.attesting_database is None:
        raise SettingsInvalid("settings", "attesting_keystore and attesting_database are needed")
    chain = ChainClient(settings.node_url, settings.chain_id)
    signer = _load_signer(settings.attesting_keystore, settings)
    await_chain(chain, settings, stop)
    with (
        contextlib.closing(_await_rtgs(settings, stop)) as rtgs,
        contextlib.closing(Store.open(settings.attesting_database)) as store,
    ):
        attester = Attester(
            currency=parse_currency(settings.currencies[0]),
            validity_seconds=settings.attestation_seconds,
            chain=chain,
            rtgs=rtgs,
            submitter=Submitter(store, chain, signer, utc_seconds),
            signer=signer,
            clock=utc_seconds,
        )
        announce()
        attester.run(stop)


def resolve(
    settings: LiquiditySettings, stop: threading.Event, announce: Callable[[], None]
) -> None:
    """Have what waits for liquidity settle as soon as it can, until `stop` is set."""
    chain = ChainClient(settings.node_url, settings.chain_id)
    signer = _load_signer(settings.operating_keystore, settings)
    await_chain(chain, settings, stop)
    with contextlib.closing(Store.open(settings.database)) as store:
        resolver = Resolver(
            store=store,
            chain=chain,
            submitter=Submitter(store, chain, signer, utc_seconds),
            address=signer.address,
            clock=utc_seconds,
            with_second_pass=settings.second_pass,
            items_max=settings.round_items_max,
        )
        announce()
        resolver.run(stop)


def await_chain(
    chain: ChainClient, settings: Settings | LiquiditySettings, stop: threading.Event
) -> None:
    """Return once the node answers with the chain of the settings; give up after a bounded time."""
    genesis_hash = bytes.fromhex(settings.genesis_hash.removeprefix("0x"))
    _await(lambda: _greet(chain, genesis_hash), stop)


def _await_rtgs(settings: Settings, stop: threading.Event) -> Store:
    """The central bank's database, once its books are open."""
    account_id = chart.tokens_outstanding(parse_currency(settings.currencies[0]))

    def open_read_only() -> Store:
        rtgs = Store.open_read_only(settings.database)
        with rtgs.reading() as work:
            if work.ledger.find_account(account_id) is None:
                raise StoreBusy("the central bank has not opened its books yet")
        return rtgs

    return _await(open_read_only, stop)


def _greet(chain: ChainClient, genesis_hash: bytes) -> None:
    """Check the chain and read what a request needs of it, so that none has to wait for the node."""
    chain.check_chain(genesis_hash)
    chain.directory()
    chain.currencies()


def _await(attempt: Callable[[], _Found], stop: threading.Event) -> _Found:
    deadline = utc_seconds() + NODE_WAIT_SECONDS_MAX
    while True:
        try:
            return attempt()
        except Unavailable:
            if stop.is_set() or utc_seconds() >= deadline:
                raise
        stop.wait(WAIT_STEP_SECONDS)


def _load_signer(keystore: Path, settings: Settings | LiquiditySettings) -> KeystoreSigner:
    try:
        passphrase = settings.passphrase_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid("settings", f"passphrase_file: {error}") from error
    return KeystoreSigner.load(keystore, passphrase)


def _read_secret(path: Path, name: str = "secret_file") -> bytes:
    """The 32 bytes that stand in a file as hexadecimal; raises `SettingsInvalid`."""
    try:
        secret = bytes.fromhex(path.read_text("utf-8").strip())
    except (OSError, ValueError) as error:
        raise SettingsInvalid("settings", f"{name}: {error}") from error
    if len(secret) != SECRET_BYTES:
        raise SettingsInvalid("settings", f"{name}: {SECRET_BYTES} bytes are expected")
    return secret


def _master_key(settings: Settings, secret: bytes) -> MasterKey:
    """The key over the keys of messages: from its own file, or derived from the secret."""
    if settings.master_key_file is None:
        return MasterKey.derive(secret)
    return MasterKey(_read_secret(settings.master_key_file, "master_key_file"))

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
from enum import Enum, unique
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import httpx
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from bridge import chart
from bridge.allocation import settle_in
from bridge.api import Readiness, Services, create_api, create_interbank_api
from bridge.catching_up import fetch_once_behind
from bridge.centralbank.attesting import Attester
from bridge.chain import ChainClient, Follower, Submitter
from bridge.composition import compose
from bridge.config import LiquiditySettings, Role, Settings
from bridge.errors import SettingsInvalid, StoreBusy, Unavailable
from bridge.fx import QuoteDesk, Terminal
from bridge.institution import Institution
from bridge.interbank import Courier, Interbank
from bridge.interbank.tls import client_context, server_context
from bridge.keys import KeystoreSigner, MessageKeys
from bridge.leadership import END_SECONDS_MAX, Duties, Leadership, run_once_set
from bridge.lookout import Lookout
from bridge.metrics import BridgeMetrics
from bridge.money import parse_currency
from bridge.opening import open_books
from bridge.operating import FourEyes
from bridge.provision import Duty
from bridge.resolving import Resolver
from bridge.serving import STOP_SECONDS_MAX, Face, listen, serve_faces
from bridge.store import MasterKey, Store, UnitOfWork
from bridge.store.effects import EVERYTHING, Lane
from bridge.telemetry import get_logger
from bridge.worker import Worker
from bridge.worker import listen as listen_for_effects

NODE_WAIT_SECONDS_MAX: Final = 30
"""How long a starting bridge waits for its node, and an attester for its central bank's database."""

RECURSION_MAX: Final = 1_000
"""Depth at which Python itself stops. Importing a cryptographic library raises it so far that
nested JSON from anybody would overflow the stack and end the process."""

WAIT_STEP_SECONDS: Final = 0.2
"""How often what is waited for at the start is tried."""

SETTLING_WORKERS: Final = 2
"""Threads that work off effects, and never wait for another institution: the chain has deadlines."""

ASKING_WORKERS: Final = 2
"""Threads that also wait for other institutions' answers to questions."""

COURIERS: Final = 4
"""Threads that deliver messages; an institution that does not answer holds up one of them."""

SECRET_BYTES: Final = 32
"""Bytes of the institution's own secret and of a commitment's salt."""

_Found = TypeVar("_Found")


def utc_seconds() -> int:
    """The clock of a running bridge."""
    return time.time_ns() // 1_000_000_000


@unique
class Part(Enum):
    """What one process of a bridge does, beside others on the same database."""

    BOTH = "both"
    API = "api"
    WORK = "work"


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
        *,
        part: Part = Part.BOTH,
    ) -> None:
        self.stop = stop
        self._part = part
        self.failure: Exception | None = None
        self._settings = settings
        self._clock = clock
        secret = _read_secret(settings.secret_file)
        self.store = Store.open(
            settings.database,
            migrates=settings.migrates_at_start,
            master=_master_key(settings, secret),
        )
        tls = settings.interbank_tls
        self._http = httpx.Client(
            trust_env=False, verify=True if tls is None else client_context(tls, settings.lei)
        )
        self.institution = _institution(settings, self.store, self._http, clock, secret)
        chain = self.institution.chain
        signer = _load_signer(settings.operating_keystore, settings)
        self._submitter = Submitter(self.store, chain, signer, clock)
        self._composition = compose(self.institution, self._submitter)
        provision = self._composition.provision
        self._workers = {
            name: Worker(self.store, provision.handlers, clock, name, lane)
            for name, lane in worker_lanes(provision.asking).items()
        }
        self._couriers = {
            name: Courier(self.store, self.institution.interbank, provision.courses, clock, name)
            for name in (f"courier-{number}" for number in range(1, COURIERS + 1))
        }
        self._follower = Follower(self.store, chain, self._composition.on_block)
        self._leadership = Leadership(self.store, clock, self._take_over, self._guard)
        self._lookout = Lookout(self.store, chain, self._leadership)
        self._threads: list[threading.Thread] = []

    @property
    def services(self) -> Services:
        """What the API needs of this bridge."""
        composition = self._composition
        return Services(
            institution=self.institution,
            readiness=self.readiness,
            four_eyes=FourEyes(self.store, composition.provision.actions, self._clock),
            metrics=BridgeMetrics(self.store, lambda: self.readiness().is_ready, self._clock),
            desk=self._desk(),
            central_bank=composition.central_bank,
            receivers=composition.provision.receivers,
            retail=composition.retail,
            register=composition.register,
            takes_writes=lambda: self._lookout.has_been_level,
        )

    def prepare(self) -> None:
        """Make the books ready and make sure of the chain.

        Raises `SettingsInvalid`, `ChainWrong` for another chain than the settings name, and
        `NodeUnavailable` when the node does not answer within `NODE_WAIT_SECONDS_MAX`.
        """
        open_books(self.store, self._settings, self._clock())
        await_chain(self.institution.chain, self._settings, self.stop)
        for opening in self._composition.provision.openings:
            opening()

    def start(self) -> None:
        """Start looking out for the chain, and standing by to lead."""
        loops: dict[str, Callable[[], None]] = {"lookout": partial(self._lookout.run, self.stop)}
        if self._part is not Part.API:
            loops["leadership"] = partial(self._leadership.run, self._duties, self.stop)
        for name, loop in loops.items():
            thread = threading.Thread(target=self._guard, args=(name, loop), name=name)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """End the threads and give connections back."""
        self.stop.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS_MAX + END_SECONDS_MAX)
        self._http.close()
        self.store.close()

    def when_level(self, tell: Callable[[], None]) -> None:
        """Have `tell` called once the books have been level with the chain."""
        self._lookout.when_level(tell)

    def readiness(self) -> Readiness:
        """Whether the ledger is level with the node's head and every thread is at work."""
        waiting_for = [f"{thread.name}" for thread in self._threads if not thread.is_alive()]
        if not self._lookout.is_level:
            waiting_for.append("chain")
        return Readiness(is_ready=not waiting_for, waiting_for=tuple(waiting_for))

    def _take_over(self, work: UnitOfWork) -> None:
        """What the leader before had in hand is due again."""
        work.effects.release_all(self._clock())
        work.deliveries.release_all(self._clock())

    def _duties(self) -> Duties:
        """What a leader does. The follower comes level first: restored books do not know yet what
        became of the effects in them.
        """
        level = threading.Event()
        loops: dict[str, Duty] = {
            "follower": partial(self._follower.run, self._submitter.resend_outstanding, level),
            "fetcher": partial(fetch_once_behind, self.institution),
        }
        hands: dict[str, Duty] = {
            **{name: worker.run for name, worker in self._workers.items()},
            **{name: courier.run for name, courier in self._couriers.items()},
            **self._composition.provision.duties,
        }
        loops |= {name: partial(run_once_set, level, loop) for name, loop in hands.items()}
        wakes = (
            *(worker.wake for worker in self._workers.values()),
            *(courier.wake for courier in self._couriers.values()),
        )
        loops["listener"] = partial(listen_for_effects, self.store, wakes)
        return Duties(loops, wakes)

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


def worker_lanes(asking: frozenset[str]) -> Mapping[str, Lane]:
    """The workers by name: some that never wait for another institution, some that may."""
    settling = Lane(leaves=asking)
    return {
        **{f"settling-{number}": settling for number in range(1, SETTLING_WORKERS + 1)},
        **{f"asking-{number}": EVERYTHING for number in range(1, ASKING_WORKERS + 1)},
    }


def _institution(
    settings: Settings,
    store: Store,
    http: httpx.Client,
    clock: Callable[[], int],
    secret: bytes,
) -> Institution:
    chain = ChainClient(settings.node_url, settings.chain_id)
    return Institution(
        settings=settings,
        store=store,
        chain=chain,
        interbank=Interbank(
            settings.lei,
            MessageKeys.load(settings.message_keys),
            chain.directory,
            http,
            bytes.fromhex(settings.genesis_hash.removeprefix("0x")),
            is_tls_demanded=settings.interbank_tls is not None,
        ),
        clock=clock,
        salt=lambda: os.urandom(SECRET_BYTES),
        secret=secret,
    )


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


def serve(
    settings: Settings,
    stop: threading.Event,
    announce: Callable[[str], None],
    part: Part = Part.BOTH,
) -> bool:
    """Run a bridge, or its API alone, until `stop` is set; whether it ended in order.

    `announce` is told the URL once requests are answered, those that change something too.
    """
    sys.setrecursionlimit(RECURSION_MAX)
    with contextlib.ExitStack() as listeners:
        listener = listeners.enter_context(listen(settings.port))
        tls = settings.interbank_tls
        interbank = None if tls is None else listeners.enter_context(listen(tls.port))
        runtime = Runtime(settings, stop, part=part)
        runtime.prepare()
        faces = [Face(_assemble(runtime), listener)]
        if tls is not None and interbank is not None:
            context = server_context(tls, settings.lei)
            faces.append(Face(create_interbank_api(runtime.services), interbank, context))
        settle_in()
        serve_faces(faces, stop, partial(runtime.when_level, lambda: announce(faces[0].url)))
    return runtime.failure is None


def work(settings: Settings, stop: threading.Event, announce: Callable[[], None]) -> bool:
    """Stand by to lead, and lead, until `stop` is set; whether it ended in order."""
    sys.setrecursionlimit(RECURSION_MAX)
    runtime = Runtime(settings, stop, part=Part.WORK)
    runtime.prepare()
    settle_in()
    runtime.start()
    announce()
    stop.wait()
    runtime.close()
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
        settle_in()
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
        settle_in()
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

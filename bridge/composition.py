"""Which areas of business an institution of each role has, and what each brings to its process."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from bridge.api import CentralBankDesks
from bridge.auditing import ANCHOR, Auditor
from bridge.back_office import BackOffice
from bridge.centralbank import funding
from bridge.chain import BlockHandler, Submitter
from bridge.config import Role
from bridge.credit_lines import SET_CREDIT_LIMIT, set_credit_limit
from bridge.displacement import CONSUME_NONCE, consume, consume_nonce
from bridge.holds import EXPIRE_HOLD, TAKE_FROM_HOLD, Holds, take_from_hold
from bridge.institution import Institution
from bridge.provision import Provision
from bridge.retail import business, register
from bridge.retail.business import RetailBusiness
from bridge.retail.register import Register
from bridge.revival import REVIVE_EFFECT, WRITE_OFF_EFFECT, revive_effect, write_off_effect
from bridge.settlement import acceptance, submission, supervision
from bridge.settlement.interventions import settlement_actions
from bridge.settlement.observation import ENQUIRE, EXPIRE, Observer
from bridge.settlement.occurrences import DueDates
from bridge.settlement.scheduling import EXECUTE
from bridge.settlement.submission import Submission
from bridge.shredding import SHRED_MESSAGES, shred_messages
from bridge.watch import Watch


@dataclass(frozen=True, slots=True)
class Composition:
    """One institution's business, as its role has it.

    `on_block` applies a final block inside its transaction. `central_bank` and `register` are there at
    a central bank, `retail` at a bank that keeps wallets.
    """

    provision: Provision
    on_block: BlockHandler
    central_bank: CentralBankDesks | None
    register: Register | None
    retail: RetailBusiness | None


def compose(institution: Institution, submitter: Submitter) -> Composition:
    """The business of an institution by its settings; `submitter` signs with its operating key."""
    office = BackOffice(institution, submitter)
    is_central_bank = institution.settings.role is Role.CENTRAL_BANK
    books = Register(institution, office.rtgs) if is_central_bank else None
    wallets = RetailBusiness.of(institution)
    auditor = Auditor(
        store=institution.store,
        chain=institution.chain,
        submitter=submitter,
        lei=institution.lei,
        anchor_seconds=institution.settings.audit_anchor_seconds,
        clock=institution.clock,
    )

    def parts() -> Iterator[Provision]:
        yield _everywhere(institution, submitter, auditor)
        yield _office(office)
        if institution.settings.role is Role.BANK:
            yield _payments(institution, submitter)
        if wallets is not None:
            yield _wallets(wallets)
        if books is not None:
            yield _central_bank(institution, books)

    observer = Observer(institution, office.token_books, auditor)
    return Composition(
        provision=Provision.combine(parts()),
        on_block=office.around(observer.observe),
        central_bank=office.desks(),
        register=books,
        retail=wallets,
    )


def _everywhere(institution: Institution, submitter: Submitter, auditor: Auditor) -> Provision:
    watch = Watch(
        institution.store,
        institution.settings.alerts,
        institution.clock,
        patient=frozenset({ENQUIRE, EXPIRE}),
    )
    return Provision(
        handlers={ANCHOR: auditor.anchor, CONSUME_NONCE: partial(consume, submitter)},
        actions={
            REVIVE_EFFECT: revive_effect,
            WRITE_OFF_EFFECT: write_off_effect,
            CONSUME_NONCE: consume_nonce,
            SET_CREDIT_LIMIT: set_credit_limit,
            TAKE_FROM_HOLD: take_from_hold,
            SHRED_MESSAGES: shred_messages(institution),
        },
        duties={"auditor": auditor.run, "watch": watch.run},
        openings=(auditor.admit_loss,),
    )


def _payments(institution: Institution, submitter: Submitter) -> Provision:
    return Provision(
        handlers={
            **Submission(institution, submitter).handlers(),
            **DueDates(institution).handlers(),
            EXPIRE_HOLD: Holds(institution.store, institution.clock).expire,
        },
        asking=frozenset({EXECUTE}),
        receivers=acceptance.receivers(institution),
        courses=submission.courses(institution),
        actions=settlement_actions(institution),
    )


def _office(office: BackOffice) -> Provision:
    return Provision(
        handlers=office.handlers(),
        asking=frozenset({funding.REQUEST}),
        receivers=office.receivers(),
        courses=office.courses(),
        actions=office.actions(),
        duties={"back-office": office.run},
    )


def _wallets(wallets: RetailBusiness) -> Provision:
    return Provision(
        handlers=wallets.handlers(), asking=business.PEER_EFFECTS, openings=(wallets.open,)
    )


def _central_bank(institution: Institution, books: Register) -> Provision:
    return Provision(
        handlers={register.DELIVER: books.deliver},
        asking=frozenset({register.DELIVER}),
        receivers=supervision.receivers(institution),
    )

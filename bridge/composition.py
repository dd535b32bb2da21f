"""Which areas of business an institution of each role has, and what each brings to its process."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from bridge.auditing import ANCHOR, Auditor
from bridge.centralbank import funding, issuing
from bridge.centralbank.funding import Funding
from bridge.centralbank.issuing import Issuing
from bridge.chain import Submitter
from bridge.config import Role
from bridge.credit_lines import SET_CREDIT_LIMIT, set_credit_limit
from bridge.holds import EXPIRE_HOLD, TAKE_FROM_HOLD, Holds, take_from_hold
from bridge.institution import Institution
from bridge.provision import Provision
from bridge.retail import business, register
from bridge.retail.business import RetailBusiness
from bridge.retail.register import Register
from bridge.revival import REVIVE_EFFECT, revive_effect
from bridge.settlement import acceptance, submission, supervision
from bridge.settlement.observation import Observer
from bridge.settlement.occurrences import DueDates
from bridge.settlement.scheduling import EXECUTE
from bridge.settlement.submission import Submission
from bridge.shredding import SHRED_MESSAGES, shred_messages


@dataclass(frozen=True, slots=True)
class Composition:
    """One institution's business, as its role has it.

    `issuing` and `register` are there at a central bank, `retail` at a bank that keeps wallets.
    """

    provision: Provision
    observer: Observer
    issuing: Issuing | None
    register: Register | None
    retail: RetailBusiness | None


def compose(institution: Institution, submitter: Submitter) -> Composition:
    """The business of an institution by its settings; `submitter` signs with its operating key."""
    is_central_bank = institution.settings.role is Role.CENTRAL_BANK
    mint = Issuing(institution, submitter) if is_central_bank else None
    tokens = Funding(institution, submitter)
    books = Register(institution) if is_central_bank else None
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
        yield _everywhere(institution, auditor)
        match institution.settings.role:
            case Role.BANK:
                yield _payments(institution, submitter)
                yield _tokens(tokens)
                if wallets is not None:
                    yield _wallets(wallets)
            case Role.FX_PROVIDER:
                yield _tokens(tokens)
            case Role.CENTRAL_BANK:
                if mint is not None and books is not None:
                    yield _issuance(institution, mint, books)
            case _:
                assert_never(institution.settings.role)

    return Composition(
        provision=Provision.combine(parts()),
        observer=Observer(institution, mint or tokens, auditor),
        issuing=mint,
        register=books,
        retail=wallets,
    )


def _everywhere(institution: Institution, auditor: Auditor) -> Provision:
    return Provision(
        handlers={ANCHOR: auditor.anchor},
        actions={
            REVIVE_EFFECT: revive_effect,
            SET_CREDIT_LIMIT: set_credit_limit,
            TAKE_FROM_HOLD: take_from_hold,
            SHRED_MESSAGES: shred_messages(institution),
        },
        duties={"auditor": auditor.run},
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
    )


def _tokens(tokens: Funding) -> Provision:
    return Provision(
        handlers={funding.REQUEST: tokens.request, funding.REDEEM: tokens.burn},
        asking=frozenset({funding.REQUEST}),
    )


def _wallets(wallets: RetailBusiness) -> Provision:
    return Provision(
        handlers=wallets.handlers(), asking=business.PEER_EFFECTS, openings=(wallets.open,)
    )


def _issuance(institution: Institution, mint: Issuing, books: Register) -> Provision:
    return Provision(
        handlers={issuing.ISSUE: mint.issue, register.DELIVER: books.deliver},
        asking=frozenset({register.DELIVER}),
        receivers=supervision.receivers(institution),
    )

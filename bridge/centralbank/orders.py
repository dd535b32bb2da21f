"""What a central bank's operators do by four eyes: accounts, credit, transfers, issuance.

    open_rtgs_account   subject: LEI          document: credit_line, reserve_requirement,
    set_rtgs_terms      subject: LEI                    transfer_max, day_max (decimal text; each may lack)
    grant_credit        subject: LEI          document: amount
    repay_credit        subject: LEI          document: amount
    transfer_rtgs       subject: debtor LEI   document: creditor, amount, priority, end_to_end_id
    cancel_transfer     subject: transfer id  document: ordered_by (the participant; lacks: own)
    issue_tokens        subject: reference    document: participant, amount
    decline_issuance    subject: reference    document: participant, amount

A proposal is looked at when it is made and again when it is approved, in the transaction that carries
it out: what has changed in between decides.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from bridge.approval import Proposal
from bridge.centralbank.issuing import RELEASE, Issuing
from bridge.centralbank.rtgs import Rtgs
from bridge.errors import DecisionInvalid, Rejected, ZeroAmount
from bridge.institution import Institution
from bridge.iso20022.identifiers import parse_reference
from bridge.money import Amount
from bridge.operating import Action
from bridge.rtgs import Priority, RtgsTerms, Transfer
from bridge.store import UnitOfWork

_Value = TypeVar("_Value")

OPEN_ACCOUNT: Final = "open_rtgs_account"
SET_TERMS: Final = "set_rtgs_terms"
GRANT_CREDIT: Final = "grant_credit"
REPAY_CREDIT: Final = "repay_credit"
TRANSFER: Final = "transfer_rtgs"
CANCEL: Final = "cancel_transfer"
DECLINE: Final = "decline_issuance"

_TERMS: Final = frozenset({"credit_line", "reserve_requirement", "transfer_max", "day_max"})


class Orders:
    """The actions of one central bank, by kind of proposal."""

    def __init__(self, institution: Institution, rtgs: Rtgs, issuing: Issuing) -> None:
        self._institution = institution
        self._rtgs = rtgs
        self._issuing = issuing

    def actions(self) -> Mapping[str, Action]:
        """Every action, for `FourEyes`."""
        return {
            OPEN_ACCOUNT: Action(self._check_new_account, self._open_account),
            SET_TERMS: Action(self._check_terms, self._set_terms),
            GRANT_CREDIT: Action(self._check_amount, self._grant),
            REPAY_CREDIT: Action(self._check_amount, self._repay),
            TRANSFER: Action(self._check_transfer, self._transfer),
            CANCEL: Action(self._check_cancel, self._cancel),
            RELEASE: Action(self._check_waiting, self._release),
            DECLINE: Action(self._check_waiting, self._decline),
        }

    def _check_new_account(self, _: UnitOfWork, proposal: Proposal) -> None:
        self._institution.directory().by_lei(proposal.subject)
        self._terms(proposal)

    def _open_account(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        self._rtgs.open_day(work, at)
        is_new = self._rtgs.open_account(work, proposal.subject, self._terms(proposal))
        return "opened" if is_new else "was open already"

    def _check_terms(self, work: UnitOfWork, proposal: Proposal) -> None:
        work.rtgs.account(proposal.subject)
        self._terms(proposal)

    def _set_terms(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        self._rtgs.open_day(work, at)
        work.rtgs.set_terms(proposal.subject, self._terms(proposal))
        self._rtgs.credited(work, proposal.subject, at)
        return "terms set"

    def _check_amount(self, work: UnitOfWork, proposal: Proposal) -> None:
        work.rtgs.account(proposal.subject)
        self._amount(proposal)

    def _grant(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        order = (proposal.proposal_id, at)
        self._rtgs.lend(work, proposal.subject, self._amount(proposal), order)
        return "granted"

    def _repay(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        order = (proposal.proposal_id, at)
        self._rtgs.take_back(work, proposal.subject, self._amount(proposal), order)
        return "repaid"

    def _check_transfer(self, work: UnitOfWork, proposal: Proposal) -> None:
        transfer = self._read_transfer(proposal, proposal.proposed_at)
        work.rtgs.account(transfer.debtor_lei)
        work.rtgs.account(transfer.creditor_lei)

    def _transfer(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        return self._rtgs.enter(work, self._read_transfer(proposal, at)).state.value

    def _check_cancel(self, work: UnitOfWork, proposal: Proposal) -> None:
        ordered_by = self._orderer(proposal)
        if work.rtgs.find(ordered_by, proposal.subject) is None:
            raise DecisionInvalid(proposal.kind, "subject", "there is no such transfer")

    def _cancel(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        ordered_by = self._orderer(proposal)
        return self._rtgs.cancel(work, ordered_by, proposal.subject, at).state.value

    def _check_waiting(self, work: UnitOfWork, proposal: Proposal) -> None:
        self._issuing.waiting(work, proposal.subject, proposal.document)

    def _release(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        issuance = self._issuing.waiting(work, proposal.subject, proposal.document)
        self._issuing.release(work, issuance, at)
        return "released"

    def _decline(self, work: UnitOfWork, proposal: Proposal, at: int) -> str:
        issuance = self._issuing.waiting(work, proposal.subject, proposal.document)
        self._issuing.decline(work, issuance, at)
        return "declined"

    def _orderer(self, proposal: Proposal) -> str:
        _check_fields(proposal, frozenset({"ordered_by"}))
        return proposal.document.get("ordered_by", self._institution.lei)

    def _amount(self, proposal: Proposal) -> Amount:
        _check_fields(proposal, frozenset({"amount"}))
        return _positive(proposal, self._money)

    def _money(self, text: str) -> Amount:
        return Amount.parse(text, self._rtgs.currency)

    def _terms(self, proposal: Proposal) -> RtgsTerms:
        _check_fields(proposal, _TERMS)
        given = {
            name: _at(name, self._money, text).minor_units
            for name, text in proposal.document.items()
        }
        return RtgsTerms(
            credit_line=given.get("credit_line", 0),
            reserve_requirement=given.get("reserve_requirement", 0),
            transfer_max=given.get("transfer_max"),
            day_max=given.get("day_max"),
        )

    def _read_transfer(self, proposal: Proposal, at: int) -> Transfer:
        _check_fields(proposal, frozenset({"creditor", "amount", "priority", "end_to_end_id"}))
        creditor = _needed(proposal, "creditor")
        if creditor == proposal.subject:
            raise DecisionInvalid(proposal.kind, "creditor", "it is the debtor")
        priority = proposal.document.get("priority", Priority.NORMAL.value)
        if priority not in set(Priority):
            raise DecisionInvalid(proposal.kind, "priority", "urgent or normal is expected")
        return Transfer(
            transfer_id=proposal.proposal_id,
            ordered_by=self._institution.lei,
            debtor_lei=proposal.subject,
            creditor_lei=creditor,
            amount=_positive(proposal, self._money),
            priority=Priority(priority),
            end_to_end_id=_at("end_to_end_id", parse_reference, _needed(proposal, "end_to_end_id")),
            entered_at=at,
            business_day=self._rtgs.days.day_of(at),
        )


def _check_fields(proposal: Proposal, known: frozenset[str]) -> None:
    for name in sorted(proposal.document.keys() - known):
        raise DecisionInvalid(proposal.kind, name, "it is none of its fields")


def _needed(proposal: Proposal, name: str) -> str:
    if name not in proposal.document:
        raise DecisionInvalid(proposal.kind, name, "it is missing")
    return proposal.document[name]


def _positive(proposal: Proposal, money: Callable[[str], Amount]) -> Amount:
    amount = _at("amount", money, _needed(proposal, "amount"))
    if not amount:
        raise ZeroAmount(amount.currency.code).at("document.amount")
    return amount


def _at(name: str, parse: Callable[[str], _Value], text: str) -> _Value:
    """What the parser makes of a field; its refusal then names the field."""
    try:
        return parse(text)
    except Rejected as error:
        raise error.at(f"document.{name}") from error

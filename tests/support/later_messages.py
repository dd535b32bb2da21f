"""Builders and strategies for messages on an earlier payment and between institutions."""

from datetime import date, timedelta

from hypothesis import strategies as st

from bridge.iso20022.codes import (
    CancellationReason,
    CancellationRejection,
    ChargeBearer,
    GroupStatus,
    InvestigationStatus,
    MessageName,
    ReturnReason,
    StatusReason,
    TransactionStatus,
    TransferPurpose,
)
from bridge.iso20022.messages import (
    Charge,
    CustomerStatusReport,
    FinancialInstitutionTransfer,
    InstructedPaymentStatus,
    Party,
    PaymentGroupStatus,
)
from bridge.iso20022.messages_returns import (
    CancellationRequest,
    InvestigationResolution,
    OriginalPayment,
    PaymentReturn,
    ReturnChain,
    StatusRequest,
)
from bridge.money import AMOUNT_MAX, Amount
from support.messages import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    DAY,
    EUR,
    MOMENT,
    SGD,
    UETR,
    accounts,
    addresses,
    agents,
    amounts,
    days,
    interbank_bearers,
    moments,
    references,
    texts,
    uetrs,
)

ORIGINAL = OriginalPayment(
    message_id="AURODEF0-000001",
    message_name=MessageName.CREDIT_TRANSFER,
    end_to_end_id="RENT-2026-12",
    uetr=UETR,
    created_at=MOMENT,
    instruction_id="INSTRUCTION-1",
    transaction_id="TRANSACTION-1",
)


def institution_transfer() -> FinancialInstitutionTransfer:
    """Return bank A's funding of its own account at bank B."""
    return FinancialInstitutionTransfer(
        message_id="AURODEF0-000003",
        created_at=MOMENT,
        end_to_end_id="FUNDING-1",
        transaction_id="TRANSACTION-3",
        uetr=UETR,
        interbank_settlement_amount=Amount(EUR, 5_000_000),
        interbank_settlement_date=DAY,
        instructing_agent=BANK_A,
        instructed_agent=BANK_B,
        debtor=BANK_A,
        creditor=BANK_B,
        purpose=TransferPurpose.CASH,
    )


def payment_return() -> PaymentReturn:
    """Return bank B's return of Alice's payment, less a charge."""
    return PaymentReturn(
        message_id="STHBSGS0-000002",
        created_at=MOMENT,
        return_id="RETURN-1",
        original=ORIGINAL,
        original_interbank_settlement_amount=Amount(SGD, 100_000),
        original_interbank_settlement_date=DAY,
        returned_interbank_settlement_amount=Amount(SGD, 99_500),
        interbank_settlement_date=DAY,
        instructing_agent=BANK_B,
        instructed_agent=BANK_A,
        reason=ReturnReason.AC04,
        reason_text="The account was closed in 2025",
        charge_bearer=ChargeBearer.SHAR,
        charges=(Charge(Amount(SGD, 500), BANK_B),),
        chain=ReturnChain(debtor=BOB, creditor=ALICE, debtor_agent=BANK_B, creditor_agent=BANK_A),
    )


def cancellation_request() -> CancellationRequest:
    """Return bank A's wish to have Alice's payment back."""
    return CancellationRequest(
        message_id="AURODEF0-000004",
        created_at=MOMENT,
        assigner=BANK_A,
        assignee=BANK_B,
        cancellation_id="CANCELLATION-1",
        case_id="CASE-1",
        case_creator=BANK_A,
        original=ORIGINAL,
        original_interbank_settlement_amount=Amount(SGD, 100_000),
        original_interbank_settlement_date=DAY,
        reason=CancellationReason.DUPL,
        reason_text="Paid twice",
    )


def investigation_resolution() -> InvestigationResolution:
    """Return bank B's refusal of that wish."""
    return InvestigationResolution(
        message_id="STHBSGS0-000003",
        created_at=MOMENT,
        assigner=BANK_B,
        assignee=BANK_A,
        cancellation_status_id="RESOLUTION-1",
        case_id="CASE-1",
        case_creator=BANK_A,
        status=InvestigationStatus.RJCR,
        original=ORIGINAL,
        reason=CancellationRejection.CUST,
        reason_text="The creditor does not agree",
    )


def status_request() -> StatusRequest:
    """Return bank A's question after Alice's payment."""
    return StatusRequest(
        message_id="AURODEF0-000005",
        created_at=MOMENT,
        request_id="QUESTION-1",
        original=ORIGINAL,
        instructing_agent=BANK_A,
        instructed_agent=BANK_B,
    )


def customer_status_report() -> CustomerStatusReport:
    """Return what bank A tells Alice of a message with two payments."""
    taken = InstructedPaymentStatus(
        end_to_end_id="RENT-2026-12", status=TransactionStatus.ACTC, uetr=UETR
    )
    refused = InstructedPaymentStatus(
        end_to_end_id="RENT-2027-01",
        status=TransactionStatus.RJCT,
        reason=StatusReason.AM04,
        reason_text="Insufficient funds",
    )
    return CustomerStatusReport(
        message_id="AURODEF0-000006",
        created_at=MOMENT,
        original_message_id="ALICE-1",
        original_message_name=MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION,
        groups=(PaymentGroupStatus("GROUP-1", (taken, refused)),),
        status=GroupStatus.PART,
        debtor_agent=BANK_A,
    )


# Strategies

reason_texts = st.none() | texts(105)
transfers_named = st.sampled_from([MessageName.CREDIT_TRANSFER, MessageName.INSTITUTION_TRANSFER])
parties = st.builds(Party, texts(140), st.none() | addresses, st.sampled_from([None, BANK_B.lei]))


def originals(
    names: st.SearchStrategy[MessageName] = transfers_named,
) -> st.SearchStrategy[OriginalPayment]:
    """Return references to earlier payments."""
    return st.builds(
        OriginalPayment,
        message_id=references(),
        message_name=names,
        end_to_end_id=references(),
        uetr=uetrs,
        created_at=st.none() | moments,
        instruction_id=st.none() | references(),
        transaction_id=st.none() | references(),
    )


institution_transfers = st.builds(
    FinancialInstitutionTransfer,
    message_id=references(),
    created_at=moments,
    end_to_end_id=references(),
    transaction_id=references(),
    uetr=uetrs,
    interbank_settlement_amount=amounts(),
    interbank_settlement_date=days,
    instructing_agent=agents,
    instructed_agent=agents,
    debtor=agents,
    creditor=agents,
    instruction_id=st.none() | references(),
    debtor_account=st.none() | accounts,
    debtor_agent=st.none() | agents,
    creditor_agent=st.none() | agents,
    creditor_account=st.none() | accounts,
    purpose=st.none() | st.sampled_from(TransferPurpose),
    remittance_information=st.none() | texts(140),
)

chains = st.builds(
    ReturnChain,
    debtor=parties,
    creditor=parties,
    debtor_agent=st.none() | agents,
    creditor_agent=st.none() | agents,
)


@st.composite
def payment_returns(draw: st.DrawFn) -> PaymentReturn:
    """Return pacs.004 messages: what comes back and what was taken are together what came."""
    back = draw(amounts(most=AMOUNT_MAX // 4))
    taken = amounts(st.just(back.currency), least=0, most=AMOUNT_MAX // 4)
    charges = tuple(draw(st.lists(st.builds(Charge, taken, agents), max_size=2)))
    came = back.minor_units + sum(charge.amount.minor_units for charge in charges)
    settled_on = draw(st.dates(date(1900, 1, 1), date(2900, 1, 1)))
    reason = draw(st.sampled_from(ReturnReason))
    told = texts(105) if reason is ReturnReason.NARR else reason_texts
    return draw(
        st.builds(
            PaymentReturn,
            message_id=references(),
            created_at=moments,
            return_id=references(),
            original=originals(),
            original_interbank_settlement_amount=st.just(Amount(back.currency, came)),
            original_interbank_settlement_date=st.just(settled_on),
            returned_interbank_settlement_amount=st.just(back),
            interbank_settlement_date=st.integers(0, 400).map(
                lambda later: settled_on + timedelta(days=later)
            ),
            instructing_agent=agents,
            instructed_agent=agents,
            reason=st.just(reason),
            reason_text=told,
            charge_bearer=st.none() | interbank_bearers,
            charges=st.just(charges),
            chain=st.none() | chains,
        )
    )


@st.composite
def cancellation_requests(draw: st.DrawFn) -> CancellationRequest:
    """Return camt.056 messages; a reason in words has them."""
    reason = draw(st.sampled_from(CancellationReason))
    return draw(
        st.builds(
            CancellationRequest,
            message_id=references(),
            created_at=moments,
            assigner=agents,
            assignee=agents,
            cancellation_id=references(),
            case_id=references(),
            case_creator=agents,
            original=originals(),
            original_interbank_settlement_amount=amounts(),
            original_interbank_settlement_date=days,
            reason=st.just(reason),
            reason_text=texts(105) if reason is CancellationReason.NARR else reason_texts,
        )
    )


@st.composite
def investigation_resolutions(draw: st.DrawFn) -> InvestigationResolution:
    """Return camt.029 messages; a reason exactly where nothing was cancelled."""
    status = draw(st.sampled_from(InvestigationStatus))
    cancelled = status is InvestigationStatus.CNCL
    reason = None if cancelled else draw(st.sampled_from(CancellationRejection))
    needed = texts(105) if reason is CancellationRejection.NARR else reason_texts
    return draw(
        st.builds(
            InvestigationResolution,
            message_id=references(),
            created_at=moments,
            assigner=agents,
            assignee=agents,
            cancellation_status_id=references(),
            case_id=references(),
            case_creator=agents,
            status=st.just(status),
            original=originals(),
            reason=st.just(reason),
            reason_text=st.none() if cancelled else needed,
        )
    )


status_requests = st.builds(
    StatusRequest,
    message_id=references(),
    created_at=moments,
    request_id=references(),
    original=originals(st.sampled_from(MessageName)),
    instructing_agent=agents,
    instructed_agent=agents,
)


@st.composite
def instructed_statuses(draw: st.DrawFn) -> InstructedPaymentStatus:
    """Return the status of one payment of a customer's message; a refusal has its reason."""
    status = draw(st.sampled_from(TransactionStatus))
    needed = status in {TransactionStatus.RJCT, TransactionStatus.CANC}
    reasons = st.sampled_from(StatusReason)
    reason = draw(reasons if needed else st.none() | reasons)
    return draw(
        st.builds(
            InstructedPaymentStatus,
            end_to_end_id=references(),
            status=st.just(status),
            reason=st.just(reason),
            reason_text=st.none() if reason is None else reason_texts,
            status_id=st.none() | references(),
            instruction_id=st.none() | references(),
            uetr=st.none() | uetrs,
            account_servicer_reference=st.none() | references(),
        )
    )


customer_status_reports = st.builds(
    CustomerStatusReport,
    message_id=references(),
    created_at=moments,
    original_message_id=references(),
    original_message_name=st.sampled_from(MessageName),
    groups=st.lists(
        st.builds(
            PaymentGroupStatus,
            payment_information_id=references(),
            payments=st.lists(instructed_statuses(), min_size=1, max_size=2).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    status=st.none() | st.sampled_from(GroupStatus),
    debtor_agent=st.none() | agents,
)

"""The tables of one bridge: their columns, constraints and triggers, by area.

    ledger      accounts, credit_lines, entries, postings, entry_resolutions, which never change
    business    payments, issuances, customers, customer_accounts, quotes
    outbox      idempotency: answers given, with the request's fingerprint; effects: what must still be done outside
    chain       transactions, kept before they are sent; checkpoint and chain_events, which never change
    audit       audit_records: what was decided and what the books held, each bound to the one before
    orders      quotations; standing_orders and their occurrences
    lease       leases: which process leads
    retail      wallets, retail_payments, retail_orders, retail_credits; retail_register, retail_deliveries,
                retail_reports
    offline     devices, vouchers, voucher_conflicts
    alerts      alerts: what is stuck
    approvals   proposals of operators, and how they were decided
    reconciliation  what is compared item by item, statements, breaks
    rtgs        rtgs_accounts, rtgs_transfers and business_days of a central bank
    messages    messages: documents; inbox: sealed messages ahead of their event
    vault       message_keys: the keys of documents, wrapped, until they are destroyed
    supervision supervisor_copies: copies of payment messages that the chain announced
    deliveries  messages to other institutions until they are taken; receipts: which of theirs were taken
    recalls     recalls: settled payments asked back
    suspense    suspense_items: money without a home

Amounts are integers in minor units, times are UTC seconds, hashes and keys are raw bytes. Columns
that are searched or must be unique stand by themselves; what only travels with a record is in its
JSON `document`.
"""

from bridge.store.tables.alerts import alerts
from bridge.store.tables.approvals import proposals
from bridge.store.tables.audit import audit_records
from bridge.store.tables.business import customer_accounts, customers, issuances, payments, quotes
from bridge.store.tables.chain import chain_events, checkpoint, transactions
from bridge.store.tables.deliveries import deliveries, receipts
from bridge.store.tables.foundation import METADATA
from bridge.store.tables.lease import leases
from bridge.store.tables.ledger import (
    accounts,
    credit_lines,
    entries,
    entry_resolutions,
    postings,
)
from bridge.store.tables.messages import inbox, messages
from bridge.store.tables.offline import devices, voucher_conflicts, vouchers
from bridge.store.tables.orders import occurrences, quotations, standing_orders
from bridge.store.tables.outbox import effects, idempotency
from bridge.store.tables.recalls import recalls
from bridge.store.tables.reconciliation import (
    awaited,
    break_reports,
    breaks,
    feeds,
    payment_legs,
    reconciliation_items,
    statement_lines,
    statements,
    token_flows,
    token_positions,
)
from bridge.store.tables.retail import (
    retail_credits,
    retail_deliveries,
    retail_orders,
    retail_payments,
    retail_register,
    retail_reports,
    wallets,
)
from bridge.store.tables.rtgs import business_days, rtgs_accounts, rtgs_transfers
from bridge.store.tables.supervision import supervisor_copies
from bridge.store.tables.suspense import suspense_items
from bridge.store.tables.vault import message_keys

__all__ = [
    "METADATA",
    "accounts",
    "alerts",
    "audit_records",
    "awaited",
    "break_reports",
    "breaks",
    "business_days",
    "chain_events",
    "checkpoint",
    "credit_lines",
    "customer_accounts",
    "customers",
    "deliveries",
    "devices",
    "effects",
    "entries",
    "entry_resolutions",
    "feeds",
    "idempotency",
    "inbox",
    "issuances",
    "leases",
    "message_keys",
    "messages",
    "occurrences",
    "payment_legs",
    "payments",
    "postings",
    "proposals",
    "quotations",
    "quotes",
    "recalls",
    "receipts",
    "reconciliation_items",
    "retail_credits",
    "retail_deliveries",
    "retail_orders",
    "retail_payments",
    "retail_register",
    "retail_reports",
    "rtgs_accounts",
    "rtgs_transfers",
    "standing_orders",
    "statement_lines",
    "statements",
    "supervisor_copies",
    "suspense_items",
    "token_flows",
    "token_positions",
    "transactions",
    "voucher_conflicts",
    "vouchers",
    "wallets",
]

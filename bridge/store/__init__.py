"""What a bridge keeps: one database, SQLite or PostgreSQL, reached through units of work.

`Store.open(place)` gives the store; `with store.unit_of_work() as work:` writes, `store.reading()`
reads a snapshot. A unit of work has one repository per noun: `ledger`, `statements`,
`ledger_record`, `payments`, `idempotency`, `effects`, `transactions`, `chain_log`, `messages`,
`inbox`, `deliveries`, `receipts`, `supervisor_copies`, `vault`, `quotes`, `issuances`, `customers`,
`approvals`, `audit`, `quotations`, `standing_orders`, `rtgs`, `movements`, `token_flows`,
`account_statements`, `reconciliation_items`, `breaks`, `suspense`, `alerts`, `recalls`; for retail CBDC `wallets`,
`retail_payments`, `devices`, `custody_orders`, `custody_credits`, `retail_register`. No SQL stands
outside this package.
"""

from bridge.ledger import BookedEntry
from bridge.store.account_statements import (
    StatedAccount,
    StatementKind,
    StatementLine,
    StoredStatement,
)
from bridge.store.breaks import BreakReport
from bridge.store.chain_log import Checkpoint, EventRow
from bridge.store.customers import (
    AccountScheme,
    Customer,
    CustomerAccount,
    CustomerAccountStatus,
)
from bridge.store.database import Store, UnitOfWork
from bridge.store.deliveries import Delivery, DeliveryState, NewDelivery
from bridge.store.effects import DeadEffect, EffectRow, EffectState, NewEffect, Payload
from bridge.store.idempotency import Remembered
from bridge.store.leases import Lease
from bridge.store.messages import InboxMessage, MessageDirection, MessageHeading, StoredMessage
from bridge.store.movements import Movement
from bridge.store.page import PAGE_DEFAULT, PAGE_MAX, Page
from bridge.store.quotes import QuoteRecord, QuoteState
from bridge.store.recalls import Recall, RecallDirection, RecallState
from bridge.store.statements import Statement, StatementItem
from bridge.store.supervision import SupervisorCopy
from bridge.store.suspense import SuspenseCause, SuspenseItem, SuspenseState
from bridge.store.token_flows import NewFlow, TokenFlow
from bridge.store.transactions import OutgoingTransaction, TransactionState
from bridge.store.vault import MasterKey

__all__ = [
    "PAGE_DEFAULT",
    "PAGE_MAX",
    "AccountScheme",
    "BookedEntry",
    "BreakReport",
    "Checkpoint",
    "Customer",
    "CustomerAccount",
    "CustomerAccountStatus",
    "DeadEffect",
    "Delivery",
    "DeliveryState",
    "EffectRow",
    "EffectState",
    "EventRow",
    "InboxMessage",
    "Lease",
    "MasterKey",
    "MessageDirection",
    "MessageHeading",
    "Movement",
    "NewDelivery",
    "NewEffect",
    "NewFlow",
    "OutgoingTransaction",
    "Page",
    "Payload",
    "QuoteRecord",
    "QuoteState",
    "Recall",
    "RecallDirection",
    "RecallState",
    "Remembered",
    "StatedAccount",
    "Statement",
    "StatementItem",
    "StatementKind",
    "StatementLine",
    "Store",
    "StoredMessage",
    "StoredStatement",
    "SupervisorCopy",
    "SuspenseCause",
    "SuspenseItem",
    "SuspenseState",
    "TokenFlow",
    "TransactionState",
    "UnitOfWork",
]

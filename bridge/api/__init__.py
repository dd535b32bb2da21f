"""The bridge's REST API: thin routes by noun over the steps of `settlement` and `centralbank`.

    services        what the routes need, built by the composition root
    assembly        the application: routes by role, limits, trace ids, error answers
    authentication  who is asking: a customer, the operator
    schemas         the shapes of requests and answers
    problems        every error as an RFC 9457 problem, in one total table
    payments        a customer's payments, as JSON
    messages        a customer's payments, as ISO 20022 messages
    accounts        a customer's accounts
    ledger          balances at a moment, statements, verification of the books; ledger_schemas their shapes
    holds           money set aside on a customer's account
    issuances       the operator's orders: reserves into tokens, tokens into reserves
    transfers       between RTGS accounts
    breaks          what does not agree, and statements
    central_bank    what backs its tokens, its participants
    operations      the operator's view: payments, ledger, reconciliation, health
    deliveries      the operator's view of messages to other institutions, and their replay
    proposals       what operators do by four eyes
    supervision     copies of payment messages at a central bank
    interbank       sealed messages from other institutions

A route parses, asks one step to do the work and answers; it decides nothing. Handlers are plain
functions run in a pool of threads, since the database and the chain client block.
"""

from bridge.api.assembly import create_api, create_interbank_api
from bridge.api.interbank import CERTIFIED_LEI
from bridge.api.services import CentralBankDesks, Readiness, Services

__all__ = [
    "CERTIFIED_LEI",
    "CentralBankDesks",
    "Readiness",
    "Services",
    "create_api",
    "create_interbank_api",
]

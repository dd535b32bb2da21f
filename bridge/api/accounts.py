"""A customer's accounts with their balances."""

from fastapi import APIRouter

from bridge.api.authentication import CustomerNeeded
from bridge.api.schemas import AccountList
from bridge.api.services import ServicesNeeded
from bridge.settlement.description import describe_amount

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])


@router.get("", response_model=AccountList)
def list_accounts(customer: CustomerNeeded, services: ServicesNeeded) -> dict[str, object]:
    """The customer's own accounts; what is reserved counts in the ledger balance only."""
    described: list[dict[str, object]] = []
    with services.institution.store.reading() as work:
        for account in work.customers.accounts_of(customer.customer_id):
            balance = work.ledger.balance(account.account_id)
            described.append(
                {
                    "id": account.account_id,
                    "scheme": account.scheme,
                    "identification": account.identification,
                    "currency": account.currency,
                    "status": account.status,
                    "ledger": describe_amount(balance.ledger),
                    "available": describe_amount(balance.available),
                }
            )
    return {"items": described}

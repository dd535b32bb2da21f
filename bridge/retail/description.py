"""How wallets and retail payments are told, to customers and in remembered answers."""

from bridge import chart
from bridge.money import Amount
from bridge.retail.intermediary import Intermediary
from bridge.store import UnitOfWork
from bridge.wallet import RetailPayment, Wallet


def describe_wallet(
    intermediary: Intermediary, work: UnitOfWork, wallet: Wallet
) -> dict[str, object]:
    """A wallet as JSON, with its limits and what is left of them."""
    tier = intermediary.tier_of(wallet)
    spent = intermediary.spending(work, wallet, intermediary.institution.clock())
    available = intermediary.available(work, chart.wallet(wallet.wallet_id))
    limits = {
        "balance_max": tier.balance_max,
        "payment_max": tier.payment_max,
        "daily_max": tier.daily_max,
        "annual_max": tier.annual_max,
        "offline_max": tier.offline_max,
    }
    return {
        "id": wallet.wallet_id,
        "customer_id": wallet.customer_id,
        "tier": wallet.tier,
        "identification": sorted(wallet.identification),
        "linked_account": wallet.linked_account,
        "holding": describe_money(intermediary.holding(work, wallet)),
        "available": describe_money(available),
        "spent_today": describe_money(spent.today),
        "limits": {
            name: None if limit is None else describe_money(limit) for name, limit in limits.items()
        },
    }


def describe_retail(payment: RetailPayment) -> dict[str, object]:
    """A retail payment as JSON."""
    reference = payment.reference
    return {
        "id": payment.payment_id,
        "kind": payment.kind.value,
        "status": payment.state.value,
        "wallet": payment.wallet_id,
        "amount": describe_money(payment.amount),
        "payee": {"agent": payment.payee_lei, "wallet": payment.payee_wallet},
        "created_at": payment.created_at,
        "deadline": payment.deadline,
        "releaser": payment.releaser,
        "reference": None if reference is None else reference.hex(),
        "reason": payment.reason,
    }


def describe_money(amount: Amount) -> dict[str, str]:
    """An amount as JSON."""
    return {"value": amount.format(), "currency": amount.currency.code}

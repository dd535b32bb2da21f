"""The chart of accounts: the ids and types of the accounts every bridge opens for itself.

Customers' deposits stand beside these under `deposit:` ids. Which account a booking touches is
decided in `settlement` and `centralbank`; here stands only what exists.
"""

from dataclasses import replace

from bridge.ledger import CENTRAL_BANK, OWN, Account, AccountType
from bridge.money import Currency

OPERATOR = OWN
"""Owner of the accounts that belong to the institution itself."""


def is_customer_deposit(account: Account) -> bool:
    """Whether an account is what the institution owes a customer."""
    is_deposit = account.account_type is AccountType.LIABILITY and account.is_on_balance_sheet
    return is_deposit and account.owner != OPERATOR


def tokens(currency: Currency) -> str:
    """Central-bank money the institution holds on the chain (asset)."""
    return f"tokens:{currency.code}"


def reserves(currency: Currency) -> str:
    """Balance of the institution's RTGS account at the central bank (asset)."""
    return f"reserves:{currency.code}"


def in_transit(currency: Currency) -> str:
    """Payments taken from customers and not yet settled (liability): filled and emptied at once when
    a payment settles, so its pending sides may stand alone.
    """
    return f"in-transit:{currency.code}"


def holds(currency: Currency) -> str:
    """Where customers' money that is held would go (liability); a hold is pending against it, and what
    is taken of it moves on at once, so its pending sides may stand alone.
    """
    return f"holds:{currency.code}"


def fee_income(currency: Currency) -> str:
    """Fees charged to customers (income)."""
    return f"fee-income:{currency.code}"


def margin_income(currency: Currency) -> str:
    """Difference between the customer's rate and the provider's (income)."""
    return f"fx-margin-income:{currency.code}"


def suspense(currency: Currency) -> str:
    """Money received for an account that cannot be credited (liability)."""
    return f"suspense:{currency.code}"


def is_suspense(account_id: str) -> bool:
    """Whether this is a suspense account."""
    return account_id.startswith("suspense:")


def equity(currency: Currency) -> str:
    """Own funds (equity)."""
    return f"equity:{currency.code}"


def fx_position(currency: Currency) -> str:
    """An fx provider's position in one currency; long or short (asset)."""
    return f"fx-position:{currency.code}"


def deposit(identification: str) -> str:
    """A customer's deposit, by the account number the customer knows (liability)."""
    return f"deposit:{identification}"


def rtgs(lei: str) -> str:
    """A participant's RTGS account at the central bank (liability)."""
    return f"rtgs:{lei}"


def tokens_outstanding(currency: Currency) -> str:
    """Reserves set aside at the central bank for the tokens it issued (liability)."""
    return f"tokens-outstanding:{currency.code}"


def lending(currency: Currency) -> str:
    """What the central bank holds against RTGS balances (asset)."""
    return f"lending:{currency.code}"


def retail_issued(lei: str) -> str:
    """Retail CBDC in issue that one intermediary keeps for its customers and itself (liability)."""
    return f"retail-issued:{lei}"


def retail_cash(currency: Currency) -> str:
    """Retail CBDC the bank holds for itself, on its balance sheet (asset); the vault mirrors it."""
    return f"retail-cash:{currency.code}"


def custody(currency: Currency) -> str:
    """All retail CBDC in the bank's custody, as the central bank's register has it (asset)."""
    return f"retail-custody:{currency.code}"


def vault(currency: Currency) -> str:
    """The bank's own share of what is in custody (liability)."""
    return f"retail-vault:{currency.code}"


def retail_transit(currency: Currency) -> str:
    """Retail CBDC set aside for a condition or for a waiting payment (liability); never posted."""
    return f"retail-transit:{currency.code}"


def retail_suspense(currency: Currency) -> str:
    """Retail CBDC received for a wallet that cannot be credited (liability)."""
    return f"retail-suspense:{currency.code}"


def wallet(wallet_id: str) -> str:
    """A customer's retail CBDC (liability)."""
    return f"wallet:{wallet_id}"


def passage(wallet_id: str) -> str:
    """What a payment draws through a wallet from the linked deposit; empty after each entry."""
    return f"wallet-passage:{wallet_id}"


def offline(device: str) -> str:
    """Retail CBDC withdrawn to a device and not yet claimed back by its vouchers (liability)."""
    return f"wallet-offline:{device}"


def interbank(currency: Currency) -> str:
    """Due from and to other institutions for transfers between RTGS accounts (asset)."""
    return f"interbank:{currency.code}"


def central_bank_credit(currency: Currency) -> str:
    """Credit that the central bank has granted the institution (liability)."""
    return f"central-bank-credit:{currency.code}"


def institution_accounts(currency: Currency) -> tuple[Account, ...]:
    """The accounts a bank or an fx provider opens for itself in one currency."""
    return (
        _central_bank_money(tokens(currency), currency),
        _central_bank_money(reserves(currency), currency),
        _account(in_transit(currency), AccountType.LIABILITY, currency, may_overdraw=True),
        _account(fee_income(currency), AccountType.INCOME, currency),
        _account(margin_income(currency), AccountType.INCOME, currency),
        _account(suspense(currency), AccountType.LIABILITY, currency),
        _account(equity(currency), AccountType.EQUITY, currency),
        replace(
            _account(fx_position(currency), AccountType.ASSET, currency, may_overdraw=True),
            exchanges=True,
        ),
        _account(holds(currency), AccountType.LIABILITY, currency, may_overdraw=True),
        _account(interbank(currency), AccountType.ASSET, currency, may_overdraw=True),
        _account(central_bank_credit(currency), AccountType.LIABILITY, currency, may_overdraw=True),
    )


def central_bank_accounts(currency: Currency) -> tuple[Account, ...]:
    """The accounts a central bank opens for itself; RTGS accounts follow the directory."""
    return (
        _account(tokens_outstanding(currency), AccountType.LIABILITY, currency),
        _account(lending(currency), AccountType.ASSET, currency),
    )


def rtgs_account(lei: str, currency: Currency) -> Account:
    """The RTGS account of one participant."""
    return _account(rtgs(lei), AccountType.LIABILITY, currency, owner=lei)


def retail_issued_account(lei: str, currency: Currency) -> Account:
    """The central bank's account of one intermediary's retail CBDC."""
    return _account(retail_issued(lei), AccountType.LIABILITY, currency, owner=lei)


def custody_accounts(currency: Currency, issuer: str) -> tuple[Account, ...]:
    """The accounts of an intermediary: all but the first are off its balance sheet."""
    return (
        _central_bank_money(retail_cash(currency), currency),
        _in_custody(_account(custody(currency), AccountType.ASSET, currency), issuer),
        _in_custody(_account(vault(currency), AccountType.LIABILITY, currency), issuer),
        _in_custody(_account(retail_transit(currency), AccountType.LIABILITY, currency), issuer),
        _in_custody(_account(retail_suspense(currency), AccountType.LIABILITY, currency), issuer),
    )


def wallet_accounts(
    wallet_id: str, currency: Currency, owner: str, issuer: str
) -> tuple[Account, ...]:
    """The custody accounts of one wallet."""
    return (
        _in_custody(
            _account(wallet(wallet_id), AccountType.LIABILITY, currency, owner=owner), issuer
        ),
        replace(
            _in_custody(
                _account(passage(wallet_id), AccountType.LIABILITY, currency, owner=owner), issuer
            ),
            may_overdraw=True,
        ),
    )


def offline_account(device: str, currency: Currency, owner: str, issuer: str) -> Account:
    """The custody account of what one device carries."""
    return _in_custody(
        _account(offline(device), AccountType.LIABILITY, currency, owner=owner), issuer
    )


def deposit_account(identification: str, currency: Currency, owner: str) -> Account:
    """The ledger account of one customer's deposit."""
    return _account(deposit(identification), AccountType.LIABILITY, currency, owner=owner)


def _central_bank_money(account_id: str, currency: Currency) -> Account:
    """A claim on the central bank, with which the institution discharges claims on itself."""
    account = _account(account_id, AccountType.ASSET, currency)
    return replace(account, issuer=CENTRAL_BANK, exchanges=True)


def _in_custody(account: Account, issuer: str) -> Account:
    """An account of what somebody else owes: kept for its owner, off the institution's balance sheet."""
    return replace(account, issuer=issuer, is_off_balance=True)


def _account(
    account_id: str,
    account_type: AccountType,
    currency: Currency,
    *,
    may_overdraw: bool = False,
    owner: str = OPERATOR,
) -> Account:
    return Account(
        account_id=account_id,
        name=account_id,
        account_type=account_type,
        currency=currency,
        may_overdraw=may_overdraw,
        owner=owner,
    )

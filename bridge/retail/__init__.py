"""Retail CBDC: customers' claims on the central bank, kept by a bank off its balance sheet.

    central bank   Dr a bank's RTGS account / Cr retail-issued:BANK      issue; redeem the other way
                   Dr retail-issued:A / Cr retail-issued:B               a payment between banks
    bank           Dr retail-custody / Cr wallet:..., retail-vault       in a unit of their own
                   Dr retail-cash / Cr reserves, deposit:...             what the bank holds for itself

`retail-custody` mirrors the register; `retail-cash` is the bank's own asset and equals its vault. A
waterfall exchanges the two units in one entry: the customer's custody and the bank's vault against
the deposit and the bank's asset, so it never waits for anybody. Only when the vault is empty does a
payment wait for the central bank.

    tiers          limits as data
    intermediary   a bank that keeps wallets: its terms, and how wallets are opened
    booking        the entries
    answering      one answer for each key
    ordering       orders to the central bank, recorded with their cause
    paying         payments, loads, holds; what waits and what lapses
    custody        orders carried out, credits taken
    offline        devices loaded, vouchers paid once
    device         a reference device
    reporting      each day to the central bank
    register       the central bank's side
"""

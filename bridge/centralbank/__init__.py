"""The central bank simulated, and what banks ask of it.

    funding     a bank's side: reserves at the central bank become tokens on the chain, and back
    issuing     the central bank's side: RTGS accounts, reserves set aside, issuance, redemption
    attesting   the separate process that reads RTGS by itself and states the reserves on the chain

RTGS is debited before the mint and reserves are released only after a final burn. The issuing key
and the attesting key live in different processes with separate reads of RTGS, so that no single
key or mistake can put money on the chain that is not backed.
"""

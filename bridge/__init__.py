"""The bank-side service of Corridor: what the settlement chain means to a bank.

One code base, run as a bank, an FX provider or a central bank by configuration. It maps the chain
onto the participant's own ledger, its ISO 20022 messages and its customers' API. It is not a
cross-chain bridge.

Reading order: `money`, `iso20022`, `ledger` and `payment` are the pure core; `store`, `chain` and
`interbank` are the edges; `settlement` tells the story of one payment; `app` builds the objects.
"""

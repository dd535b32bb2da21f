"""One payment, one step at a time: the whole story of a payment reads here.

    initiation    a customer's instruction becomes a reserved payment (debtor bank)
    acceptance    an announced payment is checked and accepted or refused (creditor bank)
    observation   what the chain says, block by block, becomes bookings and further effects
    submission    recorded effects become chain transactions and sealed messages
    booking       the journal entries
    notices       the ISO 20022 messages that tell people about it
    description   what a customer is told of a payment through the API
    customer_report  the same of all payments of one message, as a pain.002

Two rules hold everywhere: whatever leaves the process was first recorded with its cause in one
database transaction, and money moves on facts read in final blocks, never on a time-out.
"""

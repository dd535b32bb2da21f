"""Which waiting payments can settle at once, although none of them could alone: the liquidity solver.

    book      items with legs, their queues, balances and limits, compiled to indexes
    solve     pass 1: the largest set that keeps every payer's order, and it is unique
    rounds    the same set in rounds of at most so many items
    bypass    pass 2: explicit sets that skip only what its payers marked bypassable

The solver proposes, the settlement contract verifies; anyone may run it. It has no clock, no I/O and
no randomness, and counts in integers. It is given *eligible* items only: one that cannot settle for a
reason other than money (not-before, deadline, suspension, freeze, pause, hours) is left out by the
caller and blocks nobody.

**Why the answer is unique.** A set of items *keeps order* if each queue, of one payer account in one
currency, gives a prefix; it is *feasible* if no bound is broken. Every bound belongs to one queue:

    balance             (account, currency)               out: all it pays        in: all it receives
    multilateral limit  (account, currency)               out: all it pays        in: all it receives
    bilateral limit     (account, currency, participant)  out: all it pays that participant's accounts
                                                          in: all they pay this account
    outflow limit       (account, currency)               out: all it pays        in: nothing

and says: out = 0, or out - in <= headroom. Take the union of two feasible sets. In a given queue one
of their prefixes holds the other, so the union pays out of that queue what one of the two does, and
receives no less: it is feasible too. So there is one largest set, the union of them all, and settling
a feasible part of it first loses nothing of the rest. The proof needs each bound's outflow to come
from one queue: a limit over several payer accounts of a participant, or over several currencies, has
no unique answer and cannot stand here. A headroom below zero (a limit lowered below its use) stops
further outflow under it and nothing else, hence the words "out = 0, or".

Source of the method: Bech and Soramaki, Gridlock Resolution in Interbank Payment Systems, Bank of
Finland 9/2001, extended to items of several legs.
"""

"""The liquidity service: has what waits on the chain settle as soon as it can.

    waiting    which payments wait, from the events of final blocks
    snapshot   their queues, accounts and limits at one block; what is eligible; the solver's book
    proposal   what the solver chose, as the settlement contract wants it proposed
    reading    a snapshot, read from the node
    service    the loop: follow, read, solve, try, send

It decides nothing: the contract checks every proposal and settles what is covered, in order. It holds
no money, several may run side by side, and one that dies loses nobody anything.
"""

from bridge.resolving.service import Resolver

__all__ = ["Resolver"]

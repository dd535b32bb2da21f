"""A whole Corridor network on one machine, for people who want to see it work.

cast        the institutions and customers of the demo, all fictitious
layout      files and ports; keys, network file, genesis and settings made once
processes   the children: started in order, watched, ended in reverse
books       every ledger, read from the process that keeps it
demo        one payment from Alice to Bob, told step by step, then reconciled
console     what is printed
"""

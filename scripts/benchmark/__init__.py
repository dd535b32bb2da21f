"""`scripts/bench`: what a node does on this machine, measured on real processes and a store on disk.

`prepared` makes the chain that is measured (permissioned, its senders admitted, 10,000 blocks long), `load` the signed
transfers, `running` starts and watches the node; `transfers`, `intake`, `reads` and `stages` each take one kind of
figure; `machine` says what else the machine was at, and measures a reference in the same run.
"""

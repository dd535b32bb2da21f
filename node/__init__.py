"""A settlement node: an Ethereum execution layer that admitted institutions agree on.

Reading order: `primitives`, `transaction`, `block` (what the bytes are), `specification` (which
rules hold when), `engine` (what a block does to the state), `store` and `history` (what is kept),
`genesis`, `permissions`, `admission`, `pool`, `chain` (what is decided), `consensus`, `link`, `rpc` (how it is
agreed on and asked for), `app` (how it is put together).
"""

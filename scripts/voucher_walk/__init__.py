"""A walk through offline vouchers, for people: no bank, no network, only what devices sign."""

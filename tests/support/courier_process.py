"""A courier in a process of its own, to be killed: it delivers what a database says, once or until killed.

    python -m support.courier_process DATABASE MESSAGE_KEYS PEER_URL

The directory knows the keys that stand in the file beside the database.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import httpx

from bridge.chain import Directory
from bridge.interbank import Courier, Interbank
from bridge.keys import MessageKeys
from bridge.store import Store
from support.participants import BANK_A, BANK_B, make_institutions
from support.street_post import NETWORK


def main(database: Path, keys: Path, url: str) -> None:
    known = json.loads(keys.with_name("directory.json").read_text("utf-8"))
    directory = Directory(
        replace(
            each.participant,
            sealing_key=bytes.fromhex(known[lei]["sealing"]),
            signing_key=bytes.fromhex(known[lei]["signing"]),
            endpoint=url,
        )
        for lei, each in make_institutions(BANK_A, BANK_B).items()
    )
    channel = Interbank(
        BANK_A, MessageKeys.load(keys), lambda: directory, httpx.Client(trust_env=False), NETWORK
    )
    store = Store.open(database)
    with store.unit_of_work() as work:
        work.deliveries.release_all(int(known["now"]))
    courier = Courier(store, channel, {}, lambda: int(known["now"]), "process")
    while courier.step():
        pass
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

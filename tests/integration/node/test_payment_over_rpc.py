"""The stop line: a payment-versus-payment settled through JSON-RPC by web3.py, without middleware.

The node runs as an operator runs it: two processes, a genesis file made by the command line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import astuple
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

import contracts
from support.node_process import NodeProcess, make_genesis, running_node
from support.settlement_network import (
    ALPHA,
    AUTHORITY,
    BETA,
    EUR,
    EUROSYSTEM,
    MAKER,
    NUMERIC_BY_CURRENCY,
    SGD,
    ZERO_HASH,
    Attestation,
    Institution,
    Leg,
    Quote,
    Terms,
    attestation_data,
    network_file,
    quote_hash_of,
    sign,
    signed,
)
from support.transactions import CHAIN_ID, Key

HOUR = 3_600
STATE_SETTLED = 3
GENESIS_TIME = 1_700_000_000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    directory = tmp_path_factory.mktemp("node")
    genesis = make_genesis(directory, {**network_file(), "genesis_time": GENESIS_TIME})
    with running_node(genesis, directory / "data") as running:
        yield running


@pytest.fixture(scope="module")
def web3(node: NodeProcess) -> Web3:
    connection = Web3(Web3.HTTPProvider(node.url))
    connection.middleware_onion.clear()
    return connection


class Street:
    """The contracts, reached by web3.py."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.settlement = self.contract(contracts.SETTLEMENT_ADDRESS, "PaymentSettlement")
        self.tokens = {
            currency: self.contract(contracts.currency_token_address(numeric), "CurrencyToken")
            for currency, numeric in NUMERIC_BY_CURRENCY.items()
        }

    def contract(self, address: bytes, name: str) -> Contract:
        return self.web3.eth.contract(
            address=Web3.to_checksum_address(address), abi=contracts.load(name).abi
        )

    def transact(self, sender: Key, function: Any) -> TxReceipt:
        """Signs a type-2 transaction as web3.py builds it, sends it, waits for its receipt."""
        wallet: LocalAccount = Wallet.from_key(sender.secret)
        transaction = function.build_transaction(
            {
                "from": wallet.address,
                "nonce": self.web3.eth.get_transaction_count(wallet.address, "pending"),
                "chainId": CHAIN_ID,
                "maxFeePerGas": 0,
                "maxPriorityFeePerGas": 0,
            }
        )
        signed = wallet.sign_transaction(transaction)
        transaction_hash = self.web3.eth.send_raw_transaction(signed.raw_transaction)
        receipt = self.web3.eth.wait_for_transaction_receipt(transaction_hash, poll_latency=0.01)
        assert receipt["status"] == 1
        return receipt

    def fund(self, currency: bytes, issuer: Institution, to: Institution, amount: int) -> None:
        """Attests reserves and issues against them."""
        now = int(time.time())
        token = self.tokens[currency]
        attestation = Attestation(1, now, now + HOUR, amount)
        address = contracts.currency_token_address(NUMERIC_BY_CURRENCY[currency])
        signature = sign(issuer.account("attesting"), attestation_data(address, attestation))
        self.transact(issuer.operating, token.functions.attest(astuple(attestation), signature))
        reference = Web3.keccak(text=f"fund/{currency.decode()}")
        issue = token.functions.issue(reference, to.settlement.address, amount)
        self.transact(issuer.operating, issue)

    def balance(self, currency: bytes, institution: Institution) -> int:
        account = institution.settlement.address
        balance: int = self.tokens[currency].functions.balanceOf(account).call()
        return balance


def terms_of(quote: Quote, now: int) -> Terms:
    return Terms(
        version=1,
        legs=(
            Leg(EUR, ALPHA.reference(), MAKER.reference(), quote.taker_amount),
            Leg(SGD, MAKER.reference(), BETA.reference(), quote.maker_amount),
        ),
        message_commitment=bytes(Web3.keccak(text="message")),
        supervisor_copy_hash=ZERO_HASH,
        quote_hash=quote_hash_of(quote),
        accept_by=now + HOUR,
        settle_by=now + 2 * HOUR,
        not_before=0,
    )


def quote_at(now: int) -> Quote:
    return Quote(
        maker=MAKER.lei,
        taker=ALPHA.lei,
        maker_from=MAKER.reference(),
        maker_to=MAKER.reference(),
        maker_currency=SGD,
        maker_amount=100_000,
        taker_currency=EUR,
        taker_amount=68_966,
        smallest_fill=100_000,
        valid_until=now + HOUR,
        settle_by=now + 3 * HOUR,
    )


def test_a_payment_versus_payment_settles_through_json_rpc(web3: Web3) -> None:
    street = Street(web3)
    street.fund(EUR, EUROSYSTEM, ALPHA, 1_000_000)
    street.fund(SGD, AUTHORITY, MAKER, 2_000_000)
    now = int(time.time())
    quote = quote_at(now)
    terms = terms_of(quote, now)
    uetr_hash = Web3.keccak(text="uetr")
    functions = street.settlement.functions

    signed_quote = signed(quote, signer=MAKER.account("quoting").address)
    instruct = functions.instructWithQuotes(uetr_hash, astuple(terms), [signed_quote])
    receipt = street.transact(ALPHA.operating, instruct)
    payment_id = street.settlement.events.Instructed().process_receipt(receipt)[0]["args"][
        "paymentId"
    ]
    assert payment_id == functions.paymentIdOf(0, ALPHA.lei, uetr_hash, 0).call()
    assert street.balance(EUR, ALPHA) == 1_000_000
    accepted = street.transact(BETA.operating, functions.accept(payment_id, astuple(terms), 0, 0))

    assert functions.payment(payment_id).call()[1] == STATE_SETTLED
    assert street.balance(EUR, ALPHA) == 1_000_000 - 68_966
    assert street.balance(EUR, MAKER) == 68_966
    assert street.balance(SGD, MAKER) == 2_000_000 - 100_000
    assert street.balance(SGD, BETA) == 100_000
    settled = street.settlement.events.PaymentSettled().get_logs(
        from_block=0, argument_filters={"paymentId": payment_id}
    )
    assert [log["transactionHash"] for log in settled] == [accepted["transactionHash"]]

"""Offline retail CBDC at a bank: devices loaded, vouchers paid once, what was spent twice refused.

    load      Dr wallet / Cr wallet-offline of the device
    voucher   Dr wallet-offline / Cr the holder's wallet, here or over the central bank
    reclaim   Dr wallet-offline / Cr wallet, once no voucher of the device can be presented any more

Only the bank of the device pays its vouchers: there one counter is paid once, whoever presents it and
wherever. A second presentation that differs is evidence, kept with both signatures before it is
refused; whoever signed twice is blocked. A device that signs more than it carries is blocked too.
"""

from dataclasses import replace
from typing import Final

from bridge import chart
from bridge.errors import (
    DeviceBlocked,
    DeviceHeld,
    DeviceUnknown,
    PeerAnswerInvalid,
    PeerRefused,
    PeerUnavailable,
    Rejected,
    ResourceUnknown,
    SpendingLimitExceeded,
    VoucherExpired,
    VoucherInvalid,
    VoucherPassedTwice,
    VoucherSpentTwice,
    VoucherUncovered,
)
from bridge.interbank import Kind, Received
from bridge.iso20022.codes import StatusReason
from bridge.ledger import credit, debit
from bridge.money import Amount
from bridge.retail import booking
from bridge.retail.answering import Answer, Question, answer_once
from bridge.retail.custody import RETAIL_PATH
from bridge.retail.intermediary import Intermediary
from bridge.retail.ordering import order_transfer, redeem_overflow
from bridge.store import EffectRow, NewEffect, UnitOfWork
from bridge.store.retail_offline import Device, DeviceStatus, Evidence, PaidVoucher
from bridge.store.retail_register import CustodyDirection, CustodyOrder, CustodyOrderState
from bridge.voucher import Presentation, check_presentation, culprit_of
from bridge.wallet import RetailKind, RetailPayment, RetailState, excess_over_limit, step
from bridge.worker import Done, Outcome

CLAIM: Final = "claim_retail_voucher"
"""Kind of the effect that asks another bank to pay a voucher of its device."""

RECLAIM: Final = "reclaim_offline"
"""Kind of the effect that gives back what a device did not spend."""

PRESENT_SECONDS: Final = 3 * 86_400
"""How long after its expiry a voucher may be presented."""

DEVICE_HEX_DIGITS: Final = 64

DEVICES_MAX: Final = 8
"""Most devices of one wallet."""

_REASON_BY_PROBLEM: Final = {
    VoucherSpentTwice.code: StatusReason.AM05.value,
    VoucherPassedTwice.code: StatusReason.AM05.value,
    VoucherUncovered.code: StatusReason.AM04.value,
    VoucherExpired.code: StatusReason.AB03.value,
    VoucherInvalid.code: StatusReason.FF01.value,
    DeviceUnknown.code: StatusReason.AC01.value,
}
"""The refusals after which a voucher is not paid: a voucher that is paid is answered before them."""


class OfflineDesk:
    """What a bank does about devices and vouchers."""

    def __init__(self, intermediary: Intermediary) -> None:
        self._intermediary = intermediary
        self._institution = intermediary.institution

    def register(self, client: str, wallet_id: str, device: str) -> Device:
        """A customer's device, by its public key as hex; again: as it stands.

        Raises `ResourceUnknown` for another's wallet, `DeviceUnknown` for what is no key,
        `DeviceHeld` for another wallet's device and past `DEVICES_MAX`.
        """
        if len(device) != DEVICE_HEX_DIGITS or set(device) - set("0123456789abcdef"):
            raise DeviceUnknown(device)
        now, issuer = self._institution.clock(), self._intermediary.issuer
        with self._institution.store.unit_of_work() as work:
            self._check_own(work, client, wallet_id)
            known = work.devices.find(device)
            if known is not None and known.wallet_id == wallet_id:
                return known
            if known is not None or len(work.devices.of_wallet(wallet_id)) >= DEVICES_MAX:
                raise DeviceHeld(device)
            currency = self._intermediary.currency
            work.ledger.open_account(chart.offline_account(device, currency, client, issuer))
            added = Device(device, wallet_id, DeviceStatus.ACTIVE, 0, 0, now)
            work.devices.add(added)
        return added

    def load(self, client: str, device: str, amount: Amount, key: str) -> Answer:
        """Value moved from a wallet to its device, or a named refusal; once per key."""
        question = Question(client, f"offline|{key}", f"{device}|{amount}")

        def act(work: UnitOfWork) -> dict[str, object]:
            return self._load(work, client, device, amount, key)

        return answer_once(self._institution.store, question, act)

    def _load(
        self, work: UnitOfWork, client: str, device: str, amount: Amount, key: str
    ) -> dict[str, object]:
        intermediary, now = self._intermediary, self._institution.clock()
        intermediary.check_currency(amount)
        known = self._own_device(work, client, device)
        if known.status is not DeviceStatus.ACTIVE:
            raise DeviceBlocked(device)
        wallet = intermediary.wallet(work, known.wallet_id)
        carried, most = intermediary.offline(work, wallet), intermediary.tier_of(wallet).offline_max
        if carried + amount > most:
            left = max(most - carried, Amount.zero(amount.currency))
            raise SpendingLimitExceeded(limit="offline_max", amount=str(amount), left=str(left))
        name = intermediary.reference(f"offline|{client}|{key}").hex()
        postings = (
            debit(chart.wallet(wallet.wallet_id), amount),
            credit(chart.offline(device), amount),
        )
        work.ledger.book(booking.entry(f"retail-offline:{name}", booking.OFFLINE, postings, now))
        # From here it must succeed.
        expires_at = now + intermediary.terms.offline_seconds
        loaded = known.loaded + amount.minor_units
        work.devices.load(device, loaded=loaded, expires_at=expires_at)
        work.effects.add(
            NewEffect(
                kind=RECLAIM,
                key=f"{RECLAIM}:{device}:{expires_at}",
                payload={"device": device},
                payment_id=None,
                due_at=expires_at + PRESENT_SECONDS + 1,
            )
        )
        return {"device": device, "loaded": loaded, "expires_at": expires_at}

    def certificate(self, client: str, device: str) -> str:
        """The bank's signed word for a device: who keeps its money, how much it was loaded with."""
        with self._institution.store.reading() as work:
            known = self._own_device(work, client, device)
        if known.status is not DeviceStatus.ACTIVE:
            raise DeviceBlocked(device)
        return self._institution.interbank.state(
            {
                "device": device,
                "bank": self._institution.lei,
                "currency": self._intermediary.currency.code,
                "loaded": str(known.loaded),
                "expires_at": str(known.expires_at),
            }
        )

    def present(self, client: str, presentation: Presentation) -> RetailPayment:
        """A voucher paid into the holder's wallet, or claimed from the bank of its device.

        The same again: the same payment. Raises `ResourceUnknown`, `DeviceUnknown`,
        `ParticipantUnknown`, and what a voucher is refused for.
        """
        check_presentation(presentation)
        if presentation.bank_lei != self._institution.lei:
            raise VoucherInvalid("it is presented to another bank")
        with self._institution.store.reading() as work:
            self._check_own(work, client, presentation.wallet_id)
            if self._own_device(work, client, presentation.holder).wallet_id != (
                presentation.wallet_id
            ):
                raise DeviceUnknown(presentation.holder)
        bank = presentation.voucher.bank_lei
        if bank == self._institution.lei:
            return self._pay(client, presentation)
        if "bank" not in self._institution.directory().by_lei(bank).roles:
            raise VoucherInvalid("its device is no bank's")
        return self._claim(client, presentation)

    def pay_claim(self, received: Received) -> dict[str, str]:
        """Pay a voucher that another bank presents, over the central bank; again: same answer.

        Raises what a voucher is refused for.
        """
        presentation = Presentation.parse(received.body.get("presentation", ""))
        check_presentation(presentation)
        if presentation.bank_lei != received.sender_lei:
            raise VoucherInvalid("it is presented to another bank")
        payment = self._pay(received.sender_lei, presentation)
        return {"reference": (payment.reference or b"").hex()}

    def _pay(self, client: str, presentation: Presentation) -> RetailPayment:
        """The payment of a voucher of one of our devices; the money leaves the device once."""
        if presentation.voucher.bank_lei != self._institution.lei:
            raise VoucherInvalid("its device is another bank's")
        self._judge(presentation)
        try:
            with self._institution.store.unit_of_work() as work:
                voucher = presentation.voucher
                known = work.devices.paid(
                    voucher.device, counter=voucher.counter, serial=voucher.serial
                )
                if known is not None:
                    culprit = culprit_of(Presentation.parse(known.presentation), presentation)
                    if culprit is not None:
                        raise _twice(culprit, voucher.device)
                    return work.retail_payments.get(known.payment_id)
                return self._pay_first(work, client, presentation)
        except VoucherUncovered:
            with self._institution.store.unit_of_work() as work:
                work.devices.block(presentation.voucher.device)
            raise

    def _judge(self, presentation: Presentation) -> None:
        """Keep evidence of what was signed twice, and block who signed; committed before it is told."""
        voucher = presentation.voucher
        with self._institution.store.unit_of_work() as work:
            known = work.devices.paid(
                voucher.device, counter=voucher.counter, serial=voucher.serial
            )
            if known is None:
                return
            culprit = culprit_of(Presentation.parse(known.presentation), presentation)
            if culprit is None:
                return
            now = self._institution.clock()
            work.devices.accuse(Evidence(culprit, known.presentation, presentation.format(), now))
            if work.devices.find(culprit) is not None:
                work.devices.block(culprit)

    def _pay_first(
        self, work: UnitOfWork, client: str, presentation: Presentation
    ) -> RetailPayment:
        voucher, now = presentation.voucher, self._institution.clock()
        device = work.devices.find(voucher.device)
        if device is None:
            raise DeviceUnknown(voucher.device)
        if voucher.currency != self._intermediary.currency.code:
            raise VoucherInvalid("it is in another currency")
        if voucher.expires_at > device.expires_at:
            raise VoucherInvalid("it runs longer than its device may")
        if now > voucher.expires_at + PRESENT_SECONDS:
            raise VoucherExpired(voucher.expires_at)
        amount = Amount(self._intermediary.currency, voucher.amount)
        available = self._intermediary.available(work, chart.offline(voucher.device))
        if available < amount:
            raise VoucherUncovered(str(amount), str(available))
        payment = self._payment(client, presentation, device.wallet_id)
        if presentation.bank_lei == self._institution.lei:
            payment = self._pay_here(work, payment)
        else:
            payment = self._pay_there(work, payment)
        work.retail_payments.add(payment)
        work.devices.pay(
            PaidVoucher(
                device=voucher.device,
                counter=voucher.counter,
                serial=voucher.serial,
                presentation=presentation.format(),
                payment_id=payment.payment_id,
                taken_at=now,
            )
        )
        return payment

    def _payment(self, client: str, presentation: Presentation, wallet_id: str) -> RetailPayment:
        voucher = presentation.voucher
        name = self._intermediary.reference(f"voucher|{presentation.digest}")
        return RetailPayment(
            payment_id=f"ret_{name.hex()[:32]}",
            kind=RetailKind.VOUCHER,
            state=RetailState.CLAIMED,
            client=client,
            wallet_id=wallet_id,
            amount=Amount(self._intermediary.currency, voucher.amount),
            payee_lei=presentation.bank_lei,
            payee_wallet=presentation.wallet_id,
            created_at=self._institution.clock(),
            device=voucher.device,
        )

    def _pay_here(self, work: UnitOfWork, payment: RetailPayment) -> RetailPayment:
        intermediary = self._intermediary
        payee = intermediary.wallet(work, payment.payee_wallet)
        holding, tier = intermediary.holding(work, payee), intermediary.tier_of(payee)
        excess = excess_over_limit(payee, tier, holding, payment.amount)
        postings = (
            debit(chart.offline(payment.device or ""), payment.amount),
            *booking.paid_in(payee, payment.amount, excess),
        )
        entry_id = f"{payment.payment_id}:settled"
        entry = booking.entry(entry_id, booking.VOUCHER, postings, payment.created_at)
        work.ledger.book(entry)
        redeem_overflow(intermediary, work, entry_id)
        return replace(step(payment, RetailState.SETTLED), entry_id=entry_id)

    def _pay_there(self, work: UnitOfWork, payment: RetailPayment) -> RetailPayment:
        reference = self._intermediary.reference(f"transfer|{payment.payment_id}")
        order = CustodyOrder(
            reference=reference,
            direction=CustodyDirection.TRANSFER,
            state=CustodyOrderState.ORDERED,
            amount=payment.amount,
            entry_id=f"{payment.payment_id}:sent",
            created_at=payment.created_at,
            receiver_lei=payment.payee_lei,
            details={"reference": reference.hex(), "wallet": payment.payee_wallet},
            payment_id=payment.payment_id,
        )
        order_transfer(work, order, (debit(chart.offline(payment.device or ""), payment.amount),))
        return replace(
            payment, state=RetailState.RESERVED, entry_id=order.entry_id, reference=reference
        )

    def _claim(self, client: str, presentation: Presentation) -> RetailPayment:
        """Keep what another bank is to pay, and that it must be asked."""
        payment = self._payment(client, presentation, presentation.wallet_id)
        with self._institution.store.unit_of_work() as work:
            known = work.retail_payments.find(payment.payment_id)
            if known is not None:
                return known
            intermediary = self._intermediary
            intermediary.check_code(presentation.voucher.currency)
            payee = intermediary.wallet(work, payment.wallet_id)
            holding, tier = intermediary.holding(work, payee), intermediary.tier_of(payee)
            excess_over_limit(payee, tier, holding, payment.amount)
            work.retail_payments.add(payment)
            work.effects.add(
                NewEffect(
                    kind=CLAIM,
                    key=f"{CLAIM}:{payment.payment_id}",
                    payload={
                        "payment_id": payment.payment_id,
                        "bank": presentation.voucher.bank_lei,
                        "payee": presentation.voucher.payee,
                        "presentation": presentation.format(),
                    },
                    payment_id=None,
                    due_at=payment.created_at,
                )
            )
        return payment

    def claim(self, effect: EffectRow) -> Outcome:
        """Ask the bank of a device to pay; only a refusal that is final ends it.

        Raises `PeerUnavailable` after any other.
        """
        payment_id, bank = str(effect.payload["payment_id"]), str(effect.payload["bank"])
        body = {"presentation": str(effect.payload["presentation"])}
        try:
            answer = self._institution.interbank.ask(bank, RETAIL_PATH, Kind.RETAIL_CLAIM, body)
        except Rejected as refusal:
            problem = refusal.problem if isinstance(refusal, PeerRefused) else ""
            reason = _REASON_BY_PROBLEM.get(problem)
            if reason is None:
                raise PeerUnavailable(bank) from refusal
            self._refuse_claim(payment_id, reason, problem, str(effect.payload["payee"]))
            return Done()
        self._claimed(payment_id, bank, answer.body.get("reference", ""))
        return Done()

    def _claimed(self, payment_id: str, bank: str, told: str) -> None:
        """Keep under which reference a claim is paid; the credit may have come before."""
        try:
            reference = bytes.fromhex(told)
        except ValueError as error:
            raise PeerAnswerInvalid(bank, "its reference is not hexadecimal") from error
        with self._institution.store.unit_of_work() as work:
            payment = work.retail_payments.get(payment_id)
            if payment.state is not RetailState.CLAIMED:
                return
            other = work.retail_payments.by_reference(reference)
            if len(reference) != 32 or (other is not None and other != payment):
                raise PeerAnswerInvalid(bank, "its reference stands for another payment")
            paid = replace(payment, reference=reference)
            credited = work.custody_credits.by_reference(reference)
            if credited is not None and credited.wallet_id == payment.payee_wallet:
                paid = step(paid, RetailState.SETTLED)
            work.retail_payments.save(paid)

    def _refuse_claim(self, payment_id: str, reason: str, problem: str, payee: str) -> None:
        with self._institution.store.unit_of_work() as work:
            payment = work.retail_payments.get(payment_id)
            if payment.state is not RetailState.CLAIMED:
                return
            refused = step(payment, RetailState.REFUSED)
            work.retail_payments.save(replace(refused, reason=reason))
            if problem == VoucherPassedTwice.code and work.devices.find(payee) is not None:
                work.devices.block(payee)

    def reclaim(self, effect: EffectRow) -> Outcome:
        """Give back what a device did not spend, once none of its vouchers can be presented."""
        name, now = str(effect.payload["device"]), self._institution.clock()
        with self._institution.store.unit_of_work() as work:
            device = work.devices.find(name)
            if device is None or now <= device.expires_at + PRESENT_SECONDS:
                return Done()
            left = self._intermediary.available(work, chart.offline(name))
            if left:
                postings = (
                    debit(chart.offline(name), left),
                    credit(chart.wallet(device.wallet_id), left),
                )
                entry_id = f"retail-reclaim:{name}:{device.expires_at}"
                work.ledger.book(booking.entry(entry_id, booking.OFFLINE, postings, now))
        return Done()

    def _check_own(self, work: UnitOfWork, client: str, wallet_id: str) -> None:
        wallet = work.wallets.find(wallet_id)
        if wallet is None or wallet.customer_id != client:
            raise ResourceUnknown("wallet", wallet_id)

    def _own_device(self, work: UnitOfWork, client: str, device: str) -> Device:
        known = work.devices.find(device)
        if known is None:
            raise DeviceUnknown(device)
        self._check_own(work, client, known.wallet_id)
        return known


def _twice(culprit: str, device: str) -> Rejected:
    """Who spent twice: the device that signed the voucher, or whoever held it after."""
    return VoucherSpentTwice(culprit) if culprit == device else VoucherPassedTwice(culprit)

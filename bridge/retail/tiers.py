"""Tiers of wallets as data: those of a scheme that comes with the bridge, or the bank's own.

A scheme is a JSON file in `schemes`; each names the publication its limits are taken from.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from pydantic import ValidationError

from bridge.config import RetailSettings, SchemeSettings, TierSettings
from bridge.errors import SettingsInvalid
from bridge.money import Amount, Currency, parse_currency
from bridge.wallet import Holder, Tier

SCHEMES: Final = "schemes"


def load_tiers(settings: RetailSettings) -> Mapping[str, Tier]:
    """The tiers that these settings name, by name; raises `SettingsInvalid`."""
    currency = parse_currency(settings.currency)
    tiers = settings.tiers
    if settings.scheme is not None:
        scheme = load_scheme(settings.scheme)
        if scheme.currency != currency.code:
            raise SettingsInvalid("settings", f"retail.scheme: it is in {scheme.currency}")
        tiers = scheme.tiers
    return {tier.name: _tier(tier, currency) for tier in tiers}


def load_scheme(name: str) -> SchemeSettings:
    """A scheme that comes with the bridge; raises `SettingsInvalid` for one that does not."""
    file = files("bridge.retail").joinpath(SCHEMES, f"{name}.json")
    try:
        return SchemeSettings.model_validate_json(file.read_bytes())
    except OSError as error:
        raise SettingsInvalid("settings", f"retail.scheme: there is no '{name}'") from error
    except ValidationError as error:
        raise SettingsInvalid(file.name, str(error.errors()[0]["msg"])) from error


def _tier(settings: TierSettings, currency: Currency) -> Tier:
    def limit(text: str | None) -> Amount | None:
        return None if text is None else Amount.parse(text, currency)

    return Tier(
        name=settings.name,
        holder=Holder(settings.holder),
        balance_max=limit(settings.balance_max),
        payment_max=limit(settings.payment_max),
        daily_max=limit(settings.daily_max),
        annual_max=limit(settings.annual_max),
        offline_max=Amount.parse(settings.offline_max, currency),
        identification=frozenset(settings.identification),
    )

"""Whatever stands in a settings file, the environment or a header: it is taken or refused by name, never a crash."""

from __future__ import annotations

import json
import tempfile
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.config import (
    ClientSettings,
    LoadedSettings,
    Settings,
    format_settings,
    list_settings,
    load_settings,
)
from node.errors import CredentialsRefused, MethodForbidden, RateExceeded, SettingsInvalid
from node.rpc.access import build_access
from support.rpc_face import face_settings

KEYS = [each.key for each in list_settings() if each.flag]
VARIABLES = [each.variable for each in list_settings() if each.variable]
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
NEEDED = {"genesis_file": "genesis.json", "data_directory": "store", "port": "8545"}


def load(text: str, **given_values: dict[str, str]) -> LoadedSettings | None:
    """The settings, or None where they were refused by name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "node.toml"
        file.write_text(text, encoding="utf-8", newline="")
        with suppress(SettingsInvalid):
            return load_settings(
                flags={**NEEDED, **given_values.get("flags", {})},
                environment=given_values.get("environment", {}),
                config_file=file,
            )
    return None


@given(TEXTS)
def test_any_text_is_a_settings_file_or_none(text: str) -> None:
    """N-90."""
    load(text)


@given(st.sampled_from([*KEYS, "clients.bank", "clients", "limits", "access"]), VALUES)
def test_any_value_of_a_setting_is_taken_or_refused(key: str, value: Any) -> None:
    """N-90."""
    section, _, name = key.rpartition(".")
    text = f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
    text = f"[{section}]\n{text}" if section else text
    with suppress(tomllib.TOMLDecodeError):
        tomllib.loads(text)
        loaded = load(text)
        if loaded is not None:
            assert format_settings(loaded)
            dumped = loaded.settings.model_dump_json()
            assert Settings.model_validate_json(dumped) == loaded.settings


@given(
    st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=3),
    st.dictionaries(st.sampled_from([*VARIABLES, "CORRIDOR_NODE_X"]), TEXTS, max_size=3),
)
def test_any_flags_and_variables_are_taken_or_refused(
    flags: dict[str, str], environment: dict[str, str]
) -> None:
    """N-90."""
    loaded = load("", flags=flags, environment=environment)
    assert loaded is None or "CORRIDOR_NODE_X" not in environment


ACCESS = build_access(
    face_settings(
        clients={
            "anonymous": ClientSettings(allow=("eth_*",), calls_per_second=1),
            "bank": ClientSettings(token_sha256="ab" * 32),
        }
    )
)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda token: b"Bearer " + token))
def test_any_credentials_name_a_client_or_are_refused(credentials: bytes) -> None:
    """N-94."""
    with suppress(CredentialsRefused):
        client = ACCESS.authenticate([(b"authorization", credentials)])
        assert (client.name, credentials) == ("anonymous", b"")


@given(st.text())
def test_any_name_of_a_method_is_open_only_where_its_pattern_says_so(method: str) -> None:
    """N-95."""
    client = ACCESS.authenticate([])
    assert client.may_call(method) is method.startswith("eth_")
    with suppress(MethodForbidden, RateExceeded):
        client.check_call(method)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_any_host_and_origin_have_an_answer(host: bytes, origin: bytes) -> None:
    """N-44, N-95."""
    assert ACCESS.is_own_host(host) in {True, False}
    assert ACCESS.allows_origin(origin) is False

"""A node's settings: where they come from, which comes first, and how a fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import (
    ClientSettings,
    LoadedSettings,
    PoolLimits,
    Settings,
    format_settings,
    is_loopback,
    list_settings,
    load_settings,
)
from node.errors import SettingsInvalid
from node.pool import pool

DIGEST = "ab" * 32
NEEDED = {"genesis_file": "genesis.json", "data_directory": "store", "port": "8545"}


def loaded(
    text: str = "", *, flags: dict[str, str] | None = None, folder: Path, **environment: str
) -> LoadedSettings:
    """Settings of a file with this text, flags (those needed unless told) and variables."""
    file = folder / "node.toml"
    file.write_text(text)
    return load_settings(
        flags=NEEDED if flags is None else flags,
        environment={f"CORRIDOR_NODE_{name.upper()}": value for name, value in environment.items()},
        config_file=file,
    )


def test_flags_come_before_the_environment_before_the_file_before_defaults(tmp_path: Path) -> None:
    """N-90."""
    text = 'host = "127.0.0.2"\nlog_level = "debug"\n[limits]\nbatch_calls_max = 7\nthreads = 3\n'
    found = loaded(
        text,
        flags={**NEEDED, "host": "127.0.0.4"},
        folder=tmp_path,
        host="127.0.0.3",
        limits_threads="5",
    )
    settings = found.settings
    assert settings.host == "127.0.0.4"
    assert settings.log_level == "debug"
    assert (settings.limits.batch_calls_max, settings.limits.threads) == (7, 5)
    assert settings.limits.body_bytes_max == 2 * 1024 * 1024
    assert found.source_by_key["host"] == "flag --host"
    assert found.source_by_key["limits.threads"] == "environment CORRIDOR_NODE_LIMITS_THREADS"
    assert found.source_by_key["log_level"] == f"file {tmp_path / 'node.toml'}"


def test_a_path_is_relative_to_the_file_it_stands_in(tmp_path: Path) -> None:
    """N-90."""
    text = (
        'genesis_file = "chain/genesis.json"\ndata_directory = "store"\nport = 1\n'
        '[clients.bank]\njwt_secret_file = "bank.jwt"\n'
    )
    settings = loaded(text, flags={}, folder=tmp_path).settings
    assert settings.genesis_file == tmp_path / "chain/genesis.json"
    assert settings.clients["bank"].jwt_secret_file == tmp_path / "bank.jwt"
    assert loaded(folder=tmp_path).settings.genesis_file == Path("genesis.json").resolve()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 1", r"colour \(file .*node.toml\): no such setting"),
        ("[limits]\nbody = 1", r"limits.body \(file .*\): no such setting"),
        ("[limits]\nthreads = 0", r"limits.threads \(file .*\): .*greater than or equal to 1"),
        ('[limits]\nthreads = "3"', r"limits.threads \(file .*\): .*valid integer"),
        ("limits = 3", "limits"),
        ("port = ", "node.toml"),
        ('log_level = "loud"', "log_level"),
        ('host = "192.0.2.1"', "192.0.2.1 is not loopback"),
        ("[clients.bank]\n", "clients.bank: needs token_sha256"),
        ("[clients.Bank]\n", "clients.Bank"),
        (f'[clients.anonymous]\ntoken_sha256 = "{DIGEST}"', "without credentials"),
        (
            f'[clients.one]\ntoken_sha256 = "{DIGEST}"\n[clients.two]\ntoken_sha256 = "{DIGEST}"',
            "two have the same token_sha256",
        ),
        ('[clients.one]\ntoken_sha256 = "secret"', "clients.one.token_sha256"),
        ('[access]\ncors_origins = ["*"]', "access.cors_origins"),
    ],
)
def test_a_fault_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    """N-90."""
    with pytest.raises(SettingsInvalid, match=words):
        loaded(text, folder=tmp_path)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """N-90."""
    with pytest.raises(SettingsInvalid) as refusal:
        loaded("colour = 1", flags={}, folder=tmp_path, limits_threads="many", speed="9")
    told = str(refusal.value)
    assert "colour" in told
    assert "environment CORRIDOR_NODE_SPEED: no such setting" in told
    assert "limits.threads (environment CORRIDOR_NODE_LIMITS_THREADS): expected a whole" in told
    assert "genesis_file: needed; give --genesis, CORRIDOR_NODE_GENESIS_FILE or" in told


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="nowhere"):
        load_settings(flags={}, environment={}, config_file=tmp_path / "nowhere.toml")


def test_what_holds_is_shown_with_its_source_and_no_secret(tmp_path: Path) -> None:
    """N-91."""
    text = f'rpc_processes = 2\n[clients.bank]\ntoken_sha256 = "{DIGEST}"\nallow = ["eth_*"]\n'
    shown = format_settings(loaded(text, folder=tmp_path)).splitlines()
    assert f"rpc_processes = 2  # file {tmp_path / 'node.toml'}" in shown
    assert "port = 8545  # flag --port" in shown
    assert "limits.threads = 8  # default" in shown
    assert f"clients.bank.token_sha256 = (set)  # file {tmp_path / 'node.toml'}" in shown
    assert DIGEST not in "".join(shown)


def test_lists_come_from_the_environment_between_commas(tmp_path: Path) -> None:
    """N-90."""
    settings = loaded(folder=tmp_path, access_host_names="node.example, other.example").settings
    assert settings.access.host_names == ("node.example", "other.example")


def test_settings_survive_the_way_to_a_child_process(tmp_path: Path) -> None:
    """N-92."""
    text = f'[clients.bank]\ntoken_sha256 = "{DIGEST}"\ndeny = ["debug_*"]\n[pool]\nbytes_max = 1048576'
    settings = loaded(text, folder=tmp_path).settings
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_a_node_off_loopback_starts_once_its_clients_are_named(tmp_path: Path) -> None:
    """N-93."""
    text = 'host = "0.0.0.0"\n[clients.anonymous]\nallow = ["eth_chainId"]\n'
    assert loaded(text, folder=tmp_path).settings.clients["anonymous"].deny is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - what is refused
        ("node.example", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_every_setting_says_what_it_is() -> None:
    """N-90."""
    settings = list(list_settings())
    assert [each.key for each in settings if not each.meaning.endswith(".")] == []
    keys = [each.key for each in settings]
    assert len(set(keys)) == len(keys)
    assert [each.key for each in settings if each.kind is int and each.most is None] == []
    assert {each.key for each in settings if each.is_secret} == {"clients.NAME.token_sha256"}


def test_the_pools_defaults_are_the_pools_own() -> None:
    assert PoolLimits() == PoolLimits(
        transactions_max=pool.TRANSACTIONS_MAX,
        bytes_max=pool.BYTES_MAX,
        sender_transactions_max=pool.SENDER_TRANSACTIONS_MAX,
        sender_bytes_max=pool.SENDER_BYTES_MAX,
    )


def test_a_client_is_known_by_any_of_three_credentials() -> None:
    assert not ClientSettings().has_credentials
    assert ClientSettings(token_sha256=DIGEST).has_credentials
    assert ClientSettings(jwt_secret_file=Path("secret")).has_credentials
    assert ClientSettings(jwt_public_key_file=Path("key")).has_credentials

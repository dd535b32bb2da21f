"""The settings of one process, put together: flags before environment before file before defaults.

One key names a setting everywhere: `limits.body_bytes_max` stands in the file's table `[limits]`, is the variable
`CORRIDOR_NODE_LIMITS_BODY_BYTES_MAX` and the flag `--limits-body-bytes-max`. Clients stand in the file alone. Paths
are relative to the file they stand in, else to the working directory. An unknown key, in file or environment,
is refused with its place, and so is every value that breaks its rule; all faults are told at once.
"""

from __future__ import annotations

import json
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from node.config.settings import ClientSettings, Settings
from node.errors import SettingsInvalid

VARIABLE_PREFIX: Final = "CORRIDOR_NODE_"
CONFIG_VARIABLE: Final = "CORRIDOR_NODE_CONFIG"
"""The variable that names the settings file where no flag does."""

DEFAULT_SOURCE: Final = "default"
MASK: Final = "(set)"

Document = dict[str, Any]  # a TOML or JSON document, not yet validated


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting."""

    key: str
    kind: type
    """int, str, Path, or tuple for a list of texts."""
    unit: str
    least: int | None
    most: int | None
    choices: tuple[str, ...]
    default: object
    """None where there is none."""
    is_required: bool
    is_secret: bool
    meaning: str
    flag: str
    """Empty for a client's, which stand in the file alone; so is `variable`."""
    variable: str


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, with where each that is no default came from."""

    settings: Settings
    source_by_key: Mapping[str, str]


def load_settings(
    *, flags: Mapping[str, str], environment: Mapping[str, str], config_file: Path | None
) -> LoadedSettings:
    """The settings of a process; `flags` are by key. Raises `SettingsInvalid` with every fault."""
    settings = {each.key: each for each in list_settings() if each.flag}
    document, sources = _read_file(config_file, settings) if config_file else ({}, {})
    faults: list[str] = []
    by_variable = {each.variable: each for each in settings.values()}
    given = [
        (by_variable.get(name), text, f"environment {name}")
        for name, text in environment.items()
        if name.startswith(VARIABLE_PREFIX) and name != CONFIG_VARIABLE
    ]
    given += [(settings[key], text, f"flag {settings[key].flag}") for key, text in flags.items()]
    for setting, text, source in given:
        if setting is None:
            faults.append(f"{source}: no such setting")
            continue
        try:
            _put(document, setting.key, _parse(text, setting.kind))
        except ValueError as error:
            faults.append(f"{setting.key} ({source}): {error}")
        sources[setting.key] = source
    try:
        validated = Settings.model_validate_json(json.dumps(document))
    except ValidationError as error:
        faults += _faults(error, sources, config_file)
    if faults:
        raise SettingsInvalid("; ".join(faults))
    return LoadedSettings(validated, sources)


def list_settings() -> Iterator[Setting]:
    """Every setting, in the order of the code; a client's under `clients.NAME`."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if name == "clients":
            for inner, each in ClientSettings.model_fields.items():
                yield _describe(f"clients.NAME.{inner}", each, has_flag=False)
        elif isinstance(section, type) and issubclass(section, BaseModel):
            for inner, each in section.model_fields.items():
                yield _describe(f"{name}.{inner}", each, has_flag=True)
        else:
            yield _describe(name, field, has_flag=True)


def format_settings(loaded: LoadedSettings) -> str:
    """The settings that hold, each with its source, as a settings file would say them; secrets are masked."""
    secrets = {each.key.rpartition(".")[2] for each in list_settings() if each.is_secret}
    lines = []
    for key, value in _flatten(loaded.settings.model_dump(mode="json")):
        if value is None:
            continue
        shown = MASK if key.rpartition(".")[2] in secrets else json.dumps(value)
        lines.append(f"{key} = {shown}  # {loaded.source_by_key.get(key, DEFAULT_SOURCE)}\n")
    return "".join(lines)


def _describe(key: str, field: FieldInfo, *, has_flag: bool) -> Setting:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    bounds = {
        name: getattr(rule, name)
        for rule in field.metadata
        for name in ("ge", "le")
        if hasattr(rule, name)
    }
    kind, choices = _kind_of(field.annotation)
    flag = str(extra.get("flag", "--" + key.replace(".", "-").replace("_", "-")))
    variable = VARIABLE_PREFIX + key.replace(".", "_").upper()
    return Setting(
        key=key,
        kind=kind,
        unit=str(extra.get("unit", "")),
        least=bounds.get("ge"),
        most=bounds.get("le"),
        choices=choices,
        default=None if field.is_required() else field.default,
        is_required=field.is_required(),
        is_secret=bool(extra.get("is_secret")),
        meaning=field.description or "",
        flag=flag if has_flag else "",
        variable=variable if has_flag else "",
    )


def _kind_of(annotation: Any) -> tuple[type, tuple[str, ...]]:  # whatever stands after a colon
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return str, arguments
    if origin is typing.Annotated:
        return _kind_of(arguments[0])
    if origin in {types.UnionType, typing.Union}:
        return _kind_of(next(each for each in arguments if each is not type(None)))
    return (origin or annotation), ()


def _read_file(path: Path, settings: Mapping[str, Setting]) -> tuple[Document, dict[str, str]]:
    """The file's document with its paths made absolute, and the source of each key in it."""
    try:
        document: Document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"{path}: {error}") from error
    paths = {key for key, each in settings.items() if each.kind is Path}
    paths_of_client = {
        each.key.rpartition(".")[2]
        for each in list_settings()
        if each.kind is Path and not each.flag
    }
    sources = {}
    for key, value in list(_flatten(document)):
        sources[key] = f"file {path}"
        of_client = key.startswith("clients.") and key.rpartition(".")[2] in paths_of_client
        if isinstance(value, str) and (key in paths or of_client):
            _put(document, key, str((path.parent / value).resolve()))
    return document, sources


def _parse(text: str, kind: type) -> object:
    """The value of a text from a flag or the environment."""
    if kind is int:
        try:
            return int(text)
        except ValueError as error:
            raise ValueError("expected a whole number") from error
    if kind is tuple:
        return [each.strip() for each in text.split(",") if each.strip()]
    return str(Path(text).resolve()) if kind is Path else text


def _put(document: Document, key: str, value: object) -> None:
    *sections, name = key.split(".")
    for section in sections:
        inner = document.setdefault(section, {})
        if not isinstance(inner, dict):  # the file's own fault, told when it is validated
            return
        document = inner
    document[name] = value


def _flatten(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _faults(
    error: ValidationError, sources: Mapping[str, str], config_file: Path | None
) -> Iterator[str]:
    required = {each.key: each for each in list_settings() if each.is_required}
    for fault in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing" and key in required:
            setting = required[key]
            yield f"{key}: needed; give {setting.flag}, {setting.variable} or {key} in a settings file"
        elif fault["type"] == "extra_forbidden":
            yield f"{key} (file {config_file}): no such setting"
        else:
            source = sources.get(key)
            place = f"{key} ({source}): " if source else f"{key}: " if key else ""
            yield place + fault["msg"].removeprefix("Value error, ")

"""docs/reference/configuration.md: the settings of a node."""

from collections.abc import Iterator

from node.config import Setting, list_settings
from reference_pages.table import table

OPENING = """# Configuration of a node

<!-- Written by scripts/docs from the code; do not edit. -->

Every setting has one key. In the settings file (TOML, `--config FILE` or `CORRIDOR_NODE_CONFIG`) the part before the
dot is the table; the flag is the key with hyphens unless told otherwise, the environment's variable the key in capitals
behind `CORRIDOR_NODE_`: `limits.threads` is `--limits-threads` and `CORRIDOR_NODE_LIMITS_THREADS`. Flags come before
environment before file before defaults; lists are separated by commas in the first two. Clients stand in the file.

`node run --config FILE --check-config` prints what holds, with its source, and checks the files behind it.
"""

SECTIONS = {
    "": "Of the node",
    "consensus": (
        "Which engine orders the blocks, how it reaches the others, and what it has for nodes that join: [running a "
        "network](../guides/run-a-network.md)."
    ),
    "limits": "JSON-RPC takes no more than this, and no longer.",
    "pool": "The pool holds no more than this.",
    "access": "Who may ask in general.",
    "clients": (
        "One table for each client, `[clients.NAME]`; the name `anonymous` is of who shows no credentials. What a "
        "client without any of them may do: [the node's specification](../spec/node.md), N-93 to N-95."
    ),
}

KINDS = {
    "int": "whole number",
    "str": "text",
    "Path": "path",
    "tuple": "list of texts",
    "list": "list of texts",
}


def page() -> str:
    """The page's text."""
    return "\n".join([OPENING, *_sections()])


def _sections() -> Iterator[str]:
    settings = list(list_settings())
    for section, meaning in SECTIONS.items():
        rows = [_row(each) for each in settings if _section_of(each) == section]
        yield f"## {section}\n\n{meaning}\n" if section else f"## {meaning}\n"
        yield table(["key", "type", "bounds", "default", "meaning"], rows) + "\n"


def _section_of(setting: Setting) -> str:
    return setting.key.partition(".")[0] if "." in setting.key else ""


def _row(setting: Setting) -> list[str]:
    key = f"`{setting.key}`"
    usual_flag = "--" + setting.key.replace(".", "-").replace("_", "-")
    if setting.flag not in {"", usual_flag}:
        key += f" (`{setting.flag}`)"
    return [key, _type_of(setting), _bounds_of(setting), _default_of(setting), setting.meaning]


def _type_of(setting: Setting) -> str:
    if setting.choices:
        return " or ".join(f"`{choice}`" for choice in setting.choices)
    kind = KINDS[setting.kind.__name__]
    return f"{kind}, {setting.unit}" if setting.unit else kind


def _bounds_of(setting: Setting) -> str:
    if setting.least is None or setting.most is None:
        return ""
    return f"{setting.least:,} to {setting.most:,}"


def _default_of(setting: Setting) -> str:
    match setting.default:
        case _ if setting.is_required:
            return "needed"
        case int(number):
            return f"{number:,}"
        case str(text):
            return f"`{text}`" if text else "empty"
        case tuple(texts):
            return ", ".join(f"`{text}`" for text in texts) or "none"
        case _:
            return "unset"

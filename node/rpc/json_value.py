"""The type of a JSON value, as the standard library's decoder gives it."""

from typing import Any

Json = Any
JsonObject = dict[str, Json]

"""A channel's table in `providers.toml`, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from smartex_chassis import SettingsInvalid, read_secret

HTTP_URL = r"^https?://[^\s/]+"
"""The pattern of a provider's URL."""


class ProviderTable(BaseModel):
    """The base of every channel's settings.

    A key `password` that is a secret may be given as `password_file`, which names the file that holds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    time_limit: float = Field(
        default=10, gt=0, le=120, description="seconds until a call of the provider is given up"
    )


T = TypeVar("T", bound=ProviderTable)


def read_table(model: type[T], section: str, table: Mapping[str, object]) -> T:
    """Return the settings; raises `SettingsInvalid` that names every wrong key, and shows no value."""
    values, problems = _with_secrets(model, table)
    if not problems:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            problems = [_problem(detail) for detail in error.errors(include_input=False)]
    raise SettingsInvalid([f"providers: [{section}] {problem}" for problem in problems])


def invalid(section: str, key: str, why: str) -> SettingsInvalid:
    """Return the error of a key whose value only its reader can judge (a key file, an address)."""
    return SettingsInvalid([f"providers: [{section}] {key}: {why}"])


def _with_secrets(
    model: type[ProviderTable], table: Mapping[str, object]
) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = dict(table)
    problems = []
    for name in _secret_names(model):
        path = values.pop(f"{name}_file", None)
        if path is None:
            continue
        if name in values:
            problems.append(f"{name}: is given twice, here and in {name}_file")
            continue
        try:
            values[name] = read_secret(Path(str(path)))
        except SettingsInvalid as error:
            problems.append(f"{name}_file: {error}")
    return values, problems


def _secret_names(model: type[ProviderTable]) -> list[str]:
    return [
        name for name, info in model.model_fields.items() if info.annotation in (SecretStr, SecretStr | None)
    ]


def _problem(detail: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "table"
    return f"{key}: {str(detail['msg']).removeprefix('Value error, ')}"

"""Lines `key = value` of config files, read by configargparse's rules, and written so that these give them back."""

import io
import json
from collections.abc import Iterable
from typing import Any

import configargparse

from runtime.errors import UserError


class Words(list[Any]):
    """The values of a line `key = [..]`. text: what stands there, for an option that takes one word."""

    text = ""


class ConfigLines(configargparse.DefaultConfigFileParser):
    """configargparse's own rules, but for an option of one word brackets are part of the word."""

    def parse(self, stream: Iterable[str]) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for line in stream:
            found = super().parse(io.StringIO(line))
            for key, value in found.items():
                items[key] = value
                if isinstance(value, list):
                    hidden = super().parse(io.StringIO(line.replace("[", "\0")))  # no list then
                    items[key] = Words(value)
                    items[key].text = hidden[key].replace("\0", "[")
        return items


def line_of(key: str, value: Any) -> str:
    """The line that gives an option this value. Raises UserError if there is none."""
    if isinstance(value, list | tuple):
        words: Any = [str(one) for one in value]
        escaped = json.dumps(words).replace("#", "\\u0023").replace(";", "\\u003b")  # these begin comments
        ways = [f"[{', '.join(words)}]", escaped]
    else:
        words = str(value)
        ways = [words, f'"{words}"', f"'{words}'"]
    found = (f"{key} = {way}" for way in ways if _reads(f"{key} = {way}", key, type(words)) == words)
    if (line := next(found, None)) is None:
        raise UserError(f"{key} {value!r} cannot be written into a config file; give it without quotes and line breaks")
    return line


def _reads(line: str, key: str, kind: type) -> str | list[str] | None:
    """What a line gives its option, which takes one word (kind str) or several (list)."""
    try:
        value = ConfigLines().parse(io.StringIO(line)).get(key) if len(line.splitlines()) == 1 else None
    except configargparse.ConfigFileParserException:
        return None
    if isinstance(value, Words):
        return value.text if kind is str else [str(one) for one in value]
    return value

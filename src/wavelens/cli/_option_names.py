"""Messages that name the options of a command instead of the arguments of a function."""

from __future__ import annotations

import argparse
import re

__all__ = ["in_options"]

# `name` or `name=value`; the option may follow it already: "`size`, --size", "`size` or --size", "`size` (--size)".
_argument = re.compile(
    r"`(?P<name>\w+)(?P<value>=[^`]*)?`(?: \((?P<bracketed>--[^()]+)\)|(?:,| or) (?P<after>--[\w-]+))?"
)
_not_options = ("run", "operands")
_renamed = {"folder": "out", "batch_size": "batch", "value_range": "range"}


def in_options(text: str, options: argparse.Namespace) -> str:
    """Return a message of a function with a command's options in place of arguments.

    Parameters
    ----------
    text : str
        Names arguments in backquotes.
    options : argparse.Namespace
        Of the command. Its `operands` are those that have no option.

    Returns
    -------
    str
        Only a name at the beginning keeps its backquotes.
    """
    operands = getattr(options, "operands", ())

    def option(found: re.Match[str]) -> str:
        named = found["bracketed"] or found["after"]
        if named:
            return named
        name = _renamed.get(found["name"], found["name"])
        if name in operands or name not in vars(options) or name in _not_options:
            return found[0]
        flag = "--" + name.replace("_", "-")
        if found["value"]:
            value = found["value"][1:]
            if value == "False":
                return f"--no-{flag[2:]}"
            return flag if value == "True" else f"{flag} {value}"
        return flag if found.start() else f"`{flag}`"

    return _argument.sub(option, text)

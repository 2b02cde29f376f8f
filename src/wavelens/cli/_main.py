"""Reads the command line and hands over to a sub-command; heavy imports wait until one is chosen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from wavelens.cli import _analyze, _check, _explain, _features, _hierarchy, _interrupt, _spaces
from wavelens.cli._option_names import in_options
from wavelens.exceptions import WavelensError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code.

    0: done. 1: the data or the options cannot be used. 2: the command line is wrong. 3: `check`
    found something, and was asked to fail then. 130: interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with _interrupt.watch():
            code: int | None = options.run(options)
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:  # as in `wavelens check images | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (WavelensError, ValueError, TypeError, OSError, ImportError, RuntimeError, MemoryError) as error:
        if _interrupt.seen():
            return _interrupted()
        if os.environ.get("WAVELENS_DEBUG"):
            raise
        print(f"wavelens: error: {in_options(_message(error), options)}", file=sys.stderr)
        return 1
    return code or 0


def _interrupted() -> int:
    print("wavelens: interrupted; no result was written", file=sys.stderr)
    return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wavelens",
        description="Shows what an image dataset, and a network trained on it, are made of.",
        epilog="`wavelens COMMAND --help` explains a command's options. "
        "WAVELENS_DEBUG=1 shows where an error comes from.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _analyze.add_command(commands)
    _check.add_command(commands)
    _explain.add_command(commands)
    _features.add_command(commands)
    _hierarchy.add_command(commands)
    _spaces.add_command(commands)
    info = commands.add_parser("info", help="print version, compiler, BLAS, threads and instruction set")
    info.set_defaults(run=_print_info)
    return parser


class _Version(argparse.Action):
    def __call__(self, *_: object, **__: object) -> NoReturn:
        import wavelens

        print(f"wavelens {wavelens.__version__}")
        sys.exit(0)


def _print_info(_: argparse.Namespace) -> None:
    import wavelens

    print(wavelens.build_info())


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory; --limit, --size and --coefficients make the analysis smaller"
    return str(error)

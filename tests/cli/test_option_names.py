"""Messages of functions become messages of commands."""

from __future__ import annotations

from argparse import Namespace

import pytest

from wavelens.cli._option_names import in_options

options = Namespace(
    operands=("source",), source="x", labels_key=None, size=None, resume=False, strict=True, out=None
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`labels_key` must be a text", "`--labels-key` must be a text"),
        ("`size` must be one, `labels_key` another", "`--size` must be one, --labels-key another"),
        ("pass `size=(8, 8)`", "pass --size (8, 8)"),
        ("`strict=False` reads all", "--no-strict reads all"),
        ("`resume=True` goes on", "--resume goes on"),
        ("give `size` (--size): a number", "give --size: a number"),
        ("`size=(8, 8)` (--size 8x8) helps", "--size 8x8 helps"),
        ("`size` or --size would tell", "--size would tell"),
        ("give it (`size`, --size)", "give it (--size)"),
        ("choose another `folder`", "choose another --out"),
        ("`source` is read", "`source` is read"),
        ("`unknown` stays, as does `wavelens check`", "`unknown` stays, as does `wavelens check`"),
    ],
)
def test_arguments_become_options(message, expected):
    assert in_options(message, options) == expected

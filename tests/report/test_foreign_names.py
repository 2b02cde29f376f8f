"""Whatever classes, images, layers, files and commands are called, every kind of page shows it and nothing acts."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from every_page import KINDS, write_page
from html_page import Page

from wavelens._utils._names import visible
from wavelens.report._content_security import content_security_policy

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "javascript:alert(3)",
    "photo\u202egnp.exe\u2066\u200f",
    "שלום (עולם)",
    "a\x00b\x1b[31m\x7f\x85\u2028\ufeffz",
    r"$\frac{1}{0 & \$ $x$",
)
_bidi_controls = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2067"
_void = {"img", "meta", "link", "input", "br", "circle", "line", "path", "rect", "use", "image"}


class Text(HTMLParser):
    """The text of a page in two parts: what stands in `<bdi>`, and what stands anywhere else in prose."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.isolated, self.rest, self._open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, _):
        if tag not in _void:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        # Titles and options hold text alone; the text of a figure is isolated by the style of the page.
        if not {"script", "style", "title", "option", "svg"} & set(self._open):
            (self.isolated if "bdi" in self._open else self.rest).append(data)


@pytest.fixture(scope="module", params=KINDS)
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    path = write_page(request.param, folder, HOSTILE)
    return folder, path.read_text(encoding="utf-8")


def test_no_name_becomes_markup(written):
    page = Page(written[1])
    assert all(each["src"].startswith("data:image/") for each in page.all("img"))
    assert sum(each.get("type") != "application/json" for each in page.all("script")) == 1
    assert len(page.all("style")) == 1
    for tag, attributes in page.tags:
        assert not any(name == "style" or name.startswith("on") for name in attributes), tag
        target = attributes.get("href", "#")
        assert target.startswith("#") or target == "data:,", target


def test_every_name_is_isolated(written):
    text = Text(written[1])
    isolated = " ".join(text.isolated)
    rest = " ".join(text.rest)
    for name in HOSTILE[:3]:
        assert name in isolated
        assert name not in rest
    assert "שלום" in isolated
    assert "שלום" not in rest


def test_no_control_character_is_left(written):
    folder, html = written
    assert not re.search(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff{_bidi_controls}]", html)
    assert "⟨U+202E⟩" in html
    assert "⟨U+0000⟩" in html
    # The isolates of our own are closed where they are opened.
    for text in [*re.findall(r'"[^"<>]*"', html), *re.findall(">([^<]*)<", html)]:
        depth = 0
        for character in re.findall("[\u2066\u2068\u2069]", text):
            depth += -1 if character == "\u2069" else 1
            assert depth in (0, 1), text
        assert depth == 0, text
    for figure in (folder / "figures").glob("*.svg"):
        drawn = figure.read_text(encoding="utf-8")
        ElementTree.fromstring(drawn)
        assert not re.search(f"[\u2066-\u2069{_bidi_controls}]", drawn)


def test_the_policy_is_that_of_the_page(written):
    (policy,) = [
        each["content"]
        for each in Page(written[1]).all("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    ]
    style = re.search("<style>(.*?)</style>", written[1], re.DOTALL).group(1)
    script = re.findall("<script>(.*?)</script>", written[1], re.DOTALL)[-1]
    assert policy == content_security_policy(style, script)
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    # It stands before anything that it is to hold back.
    assert written[1].index("Content-Security-Policy") < written[1].index("<title>")


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_a_page_does_not_follow_its_names(kind, tmp_path):
    small = write_page(kind, tmp_path / "small", ("first", "second")).stat().st_size
    huge = write_page(kind, tmp_path / "huge", ("x" * 1_000_000, "\u202e" * 1_000_000))
    html = huge.read_text(encoding="utf-8")
    assert huge.stat().st_size < 1.5 * small + 1_500_000
    assert "x" * 1000 not in html
    titles = [
        value for _, attributes in Page(html).tags for name, value in attributes.items() if name == "title"
    ]
    assert max(map(len, titles)) < 1000
    assert all(each.stat().st_size < 3_000_000 for each in (tmp_path / "huge" / "figures").iterdir())


@pytest.mark.parametrize(
    "character", [*map(chr, range(32)), "\x7f", "\x9b", "\u200b", "\u200f", "\u2028", "\u2069", "\ufffe"]
)
def test_what_is_invisible_is_shown_by_its_code(character):
    assert visible(f"a{character}b") == f"a⟨U+{ord(character):04X}⟩b"


def test_what_is_written_stays():
    for name in ("cat", "名前 \U0001f600", "نام‌ها", "क्‍ष", "\U0001f468\u200d\U0001f469", "naïve"):
        assert visible(name) == name
    assert visible("\udcff") == "\N{REPLACEMENT CHARACTER}"

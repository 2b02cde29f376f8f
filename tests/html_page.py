"""A report's page, taken apart, and what holds for every one of them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["Page", "check_page", "page_text"]


class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.text, self.open, self._skip = [], [], [], 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._apart(tag)
        if tag in ("style", "script"):
            self._skip += 1

    def _apart(self, tag):
        # A name in a sentence is part of its text, everything else stands apart.
        if tag != "bdi":
            self.text.append(" ")

    def handle_endtag(self, tag):
        self._apart(tag)
        if tag in ("style", "script"):
            self._skip -= 1

    def handle_data(self, data):
        if not self._skip:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def check_page(html):
    """Everything that holds for every report."""
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("href", "xlink:href", "src"):
            target = attributes.get(name)
            if target is None:
                continue
            if target.startswith("#"):
                assert target[1:] in ids, target
            else:
                assert target.startswith("data:"), target
        assert not any(name.startswith("on") for name in attributes)
    for reference in re.findall(r"url\(([^)]*)\)", html):
        assert reference.startswith("#")
        assert reference[1:] in ids
    assert "@import" not in html
    for attributes in page.all("img"):
        assert attributes["alt"].strip()
    for attributes in page.all("svg"):
        assert attributes["role"] == "img"
        assert attributes["aria-label"].strip()
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    text = "".join(page.text)
    assert not re.search(r"\b(nan|inf|None)\b", text), re.search(r".{30}\b(nan|inf|None)\b.{30}", text)
    return page, " ".join(text.split())


def page_text(path):
    """Return what a reader of a page sees, on one line."""
    return " ".join("".join(Page(path.read_text(encoding="utf-8")).text).split())

"""What keeps a page from running, loading or styling anything that is not its own, whatever a name on it holds."""

from __future__ import annotations

import base64
import hashlib
import html
import re

__all__ = ["content_security_policy", "styles_as_classes"]

_tag = re.compile(r"(<script\b.*?</script>)|<[a-zA-Z][^>]*>", re.DOTALL)
_style = re.compile(r'\sstyle="([^"]*)"')
_class = re.compile(r'\sclass="([^"]*)"')


def content_security_policy(style: str, script: str) -> str:
    """Return the policy of a page: its one style and its one script by their hashes, pictures from data, no more."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def styles_as_classes(body: str) -> tuple[str, str]:
    """Replace the style attributes of HTML, which the policy does not allow, with classes; return their rules too."""
    names: dict[str, str] = {}

    def replaced(found: re.Match[str]) -> str:
        tag = found.group()
        style = None if found.group(1) else _style.search(tag)
        if style is None:
            return tag
        name = names.setdefault(html.unescape(style.group(1)), f"s{len(names)}")
        tag = tag[: style.start()] + tag[style.end() :]
        if _class.search(tag):
            return _class.sub(lambda old: f' class="{old.group(1)} {name}"', tag, count=1)
        return re.sub(r"^<[\w:-]+", lambda start: f'{start.group()} class="{name}"', tag)

    body = _tag.sub(replaced, body)
    # No declaration ends the style element, whatever it holds.
    rules = (f".{name} {{ {style} }}\n".replace("<", r"\3c ") for style, name in names.items())
    return body, "".join(rules)

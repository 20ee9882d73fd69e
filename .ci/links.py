"""Checks the links between the pages of a folder: files and anchors. What leads out of the folder isn't looked at."""

import re
from html.parser import HTMLParser
from os.path import normpath
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, what it links to, and where it leads on by itself, if it does."""

    def __init__(self, path):
        super().__init__()
        self.path, self.anchors, self.links, self.onward = path, set(), set(), None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ("a", "img", "link"):
            self.links |= {attrs[name] for name in ("href", "src") if attrs.get(name)}
        elif tag == "meta" and attrs.get("http-equiv") == "refresh":
            self.onward = re.sub(r"^.*url=", "", attrs["content"], flags=re.IGNORECASE)
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}

    def file(self, url):
        """The file that a path leads to."""
        path = Path(normpath(self.path.parent / unquote(url))) if url else self.path
        return path / "index.html" if path.is_dir() else path


def check(folder, ignored=()):
    """Returns how many pages there are, and a line for each link that leads nowhere."""
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in sorted(page.links.difference(ignored)):
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            to = page.file(url.path)
            if to in pages and pages[to].onward:
                to = pages[to].file(pages[to].onward)
            # Of a source file rustdoc links to ranges of lines.
            anchors = {url.fragment, unquote(url.fragment), re.sub(r"^(\d+)-\d+$", r"\1", url.fragment)}
            lost = url.fragment and to in pages and not anchors & pages[to].anchors
            if lost or not to.exists():
                broken.append(f"{path.relative_to(folder)}: {link}")
    return len(pages), broken

#!/usr/bin/env -S python3 -B
"""Builds the site of this repository: its documents as a book, and the API documentation beside it.

    .ci/site.py API FOLDER

API is the folder that rustdoc wrote; the site is FOLDER/site. The pages of the book are the README, the guide, and
every document, and every source file, that a link leads to from there. What they link to is where the book has it,
so that the same links work in the repository and in the site. All links are checked in the end.

Needs mdbook on the PATH, and cargo.
"""

import json
import re
import shutil
import subprocess
import sys
from os.path import relpath
from pathlib import Path, PurePosixPath

import links

ROOT = Path(__file__).resolve().parent.parent
GUIDE = "docs/guide"
FIRST = f"{GUIDE}/src/idea.md"
# What is a part of the site anyway: the contents are beside each page, and a chapter includes the glossary.
INSTEAD = {f"{GUIDE}/src/SUMMARY.md": FIRST, "docs/glossary.md": f"{GUIDE}/src/glossary.md"}
# What has a place of its own in the table of contents, the first match counts. In a folder with an overview, the
# other pages are below that.
SECTIONS = [
    ("Reference", r"docs/[^/]+\.md", None),
    ("Backends", r"docs/backends/.*", None),
    ("Examples", r"(.*/)?examples/.*|.*\.rs", "examples/README.md"),
    ("Packages", r"[^/]+/README\.md", None),
    ("Decisions", r"docs/decisions/.*", "docs/decisions/README.md"),
    ("The project", r".*", None),
]
# The start of the API documentation, to which rustdoc's pages lead.
ONWARD = '<!DOCTYPE html><meta http-equiv="refresh" content="0; url=../api.html">\n'
# Links in the documentation of other packages, which rustdoc repeats at our types that have their traits.
FOREIGN = {
    "Context",
    "dispatcher#setting-the-default-subscriber",
    "enum.ParseError.html",
    "futures_core::future::TryFuture",
}
LINK = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
INCLUDE = re.compile(r"(?<=\{\{#include )[^:}]+")
FENCE = "```"


def place(path):
    """Where the book has a file of the repository."""
    path = path.replace(f"{GUIDE}/src/", "guide/").replace("README.md", "index.md")
    return f"{path}.md" if path.endswith(".rs") else path


def target(page, link):
    """The file of the repository that a link leads to, and its anchor; None if it leads elsewhere."""
    file, mark, anchor = link.partition("#")
    if not file or "://" in file or file.startswith("mailto:"):
        return None
    path = (ROOT / page).parent.joinpath(file).resolve()
    if path.is_dir():
        path = next((path / name for name in ("README.md", "main.rs") if (path / name).exists()), path)
    if not path.is_file():
        sys.exit(f"{page} links to {link}, which the site can't have")
    path = path.relative_to(ROOT).as_posix()
    return INSTEAD.get(path, path), mark + anchor


def rewritten(page, text):
    """The text of a page with its links as the book needs them, and the files that they lead to."""
    found = []
    folder = (ROOT / page).parent

    def new_link(match):
        to = target(page, match[0])
        if not to:
            return match[0]
        found.append(to[0])
        return relpath(place(to[0]), PurePosixPath(place(page)).parent) + to[1]

    lines, code = [], False
    for line in text.splitlines():
        code ^= line.startswith(FENCE)
        line = INCLUDE.sub(lambda match: str(folder.joinpath(match[0]).resolve()), line)
        lines.append(line if code else LINK.sub(new_link, line))
    return "\n".join(lines) + "\n", found


def title(text):
    heading = re.search(r"^# (.*)", text, re.MULTILINE)
    return heading[1].replace("`", "")


def source(page):
    """A page with a source file."""
    text = (ROOT / page).read_text()
    name = page.removeprefix(f"{GUIDE}/").rpartition("examples/")[2]
    return f"# {name}\n\n`{page}`\n\n{FENCE}rust,ignore\n{text}{FENCE}\n"


def collect(first):
    """The pages that are reached from some, with their texts, and the other files that they need."""
    pages, files, waiting = {}, set(), list(first)
    while waiting:
        page = waiting.pop()
        if page in pages or page in files:
            continue
        if page.endswith(".md"):
            pages[page], found = rewritten(page, (ROOT / page).read_text())
            waiting += found
        elif page.endswith(".rs"):
            pages[page] = source(page)
        else:
            files.add(page)
    return pages, files


def summary(guide, pages):
    """The table of contents, as mdBook reads it."""
    lines = ["# Summary", "", "[msgstream](index.md)", "[API documentation](api.md)", "", "# Guide", ""]
    lines += [line for line in guide.splitlines() if line.startswith("- ")]
    rest = sorted(page for page in pages if page != "README.md" and not page.startswith(f"{GUIDE}/src/"))
    for name, pattern, overview in SECTIONS:
        there = [page for page in rest if re.fullmatch(pattern, page)]
        rest = [page for page in rest if page not in there]
        lines += ["", f"# {name}", ""]
        for page in sorted(there, key=lambda page: page != overview):
            indent = "  " if overview in there and page != overview else ""
            lines.append(f"{indent}- [{title(pages[page])}]({place(page)})")
    return "\n".join(lines) + "\n"


def api(folder):
    """The page that leads to the API documentation of each package."""
    metadata = subprocess.check_output(["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"], cwd=ROOT)
    rows = []
    for package in sorted(json.loads(metadata)["packages"], key=lambda package: package["name"]):
        crate = package["name"].replace("-", "_")
        if (folder / crate / "index.html").exists():
            rows.append(f"| [`{crate}`](api/{crate}/index.html) | {package['description']} |\n")
    return (
        "# API documentation\n\nPrograms use `msgstream`, which has the others in it by its features.\n\n"
        f"| crate | what it is |\n| --- | --- |\n{''.join(rows)}"
    )


def landing(readme):
    """The README, with the ways into the site after its first paragraph."""
    name, slogan, rest = readme.split("\n\n", 2)
    ways = f"**[The guide]({place(FIRST)})** · **[API documentation](api.md)** · **[Backends](guide/backends.md)**"
    return "\n\n".join([name, slogan, ways, rest])


def main(docs, folder):
    book, site = folder / "book", folder / "site"
    for old in (book, site):
        shutil.rmtree(old, ignore_errors=True)
    guide, chapters = rewritten(f"{GUIDE}/src/SUMMARY.md", (ROOT / GUIDE / "src/SUMMARY.md").read_text())
    pages, files = collect(["README.md", *chapters])
    texts = {place(page): text for page, text in pages.items()}
    texts["index.md"] = landing(texts["index.md"])
    # mdBook's own name for the summary, whose links are relative to it.
    texts |= {"SUMMARY.md": summary(guide.replace("](", "](guide/"), pages), "api.md": api(docs)}
    for page, text in texts.items():
        path = book / "src" / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for file in files:
        path = book / "src" / place(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, path)
    for file in (ROOT / GUIDE).iterdir():
        if file.is_file():
            shutil.copy(file, book)
    subprocess.run(["mdbook", "build", "--dest-dir", site, book], check=True)
    shutil.copytree(docs, site / "api")
    (site / "api/index.html").write_text(ONWARD)
    pages, broken = links.check(site, FOREIGN)
    for line in broken:
        print(line)
    if broken:
        sys.exit(f"{len(broken)} links of the site lead nowhere")
    print(f"{pages} pages, and every link leads somewhere: {site}/index.html")


main(*map(Path, sys.argv[1:]))

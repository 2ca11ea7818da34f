"""Snippets of README and the documentation, and commands in them."""

from __future__ import annotations

import re

import click

from tests.support.paths import ROOT

PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/platforms/*.md")]
)
FENCED = re.compile(r"^```(.*)\n(?:.*\n)*?```$", re.MULTILINE)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)(?: {4}.*\n|\n(?= {4}))*")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def without_fences(text):
    return FENCED.sub("", text)


def indented(page):
    """Blocks of a page that are indented, each as its paragraphs without the indentation."""
    for match in INDENTED.finditer(without_fences(page.read_text(encoding="utf-8"))):
        block = re.sub(r"^ {4}", "", match.group(0), flags=re.MULTILINE)
        yield from (part for part in re.split(r"\n\n+", block.strip("\n")) if part)


def commands_in(page):
    """Commands of a page, without comments; lines that go on in the next one are joined."""
    text = page.read_text(encoding="utf-8")
    blocks = [match.group(0) for match in FENCED.finditer(text) if match.group(1) == "bash"]
    for block in [*blocks, *indented(page)]:
        for line in block.replace("\\\n", " ").splitlines():
            command = re.sub(r"\s+#.*$", "", line.removeprefix("$ "))
            for part in re.split(r" && | \| ", command):
                yield part.strip()


def check_options(group, words):
    """Follow words through a group to its command, whose options have to be there."""
    command: click.Command = group
    options = []
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            assert word in command.commands, words
            command = command.commands[word]
        elif re.match(r"--?[a-z]", word):
            options.append(word.partition("=")[0])
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    assert set(options) <= known | {"--help"}, words

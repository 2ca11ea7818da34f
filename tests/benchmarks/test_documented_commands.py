"""Commands of the benchmarks that README and the documentation name exist, with their options."""

from __future__ import annotations

import re
import shlex

import pytest

from benchmarks.__main__ import main
from tests.docs.snippets import PAGES, check_options, commands_in, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_options_exist(page):
    for command in commands_in(page):
        if found := re.match(r"\S*python3? -m benchmarks (.*)", command):
            check_options(main, shlex.split(found[1]))

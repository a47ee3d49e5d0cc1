"""The direction of imports, and what the README promises, hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from audit.cli.main import VERBS, build_parser
from audit.evidence import Status, exit_code

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_arrows_point_from_dashboards_to_audit_to_generator() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout


def test_readme_names_every_verb_and_no_other() -> None:
    named = set(re.findall(r"\bassay ([a-z]+)", README)) | set(re.findall(r"\| ([a-z]+)", README))
    assert set(VERBS) <= named
    assert set(re.findall(r"^    assay ([a-z]+)", README, re.M)) <= set(VERBS)


def test_readme_options_exist() -> None:
    help_text = ""
    for action in build_parser()._subparsers._group_actions:
        help_text += "".join(parser.format_help() for parser in action.choices.values())
    for option in set(re.findall(r"--[a-z][a-z-]+", README)):
        assert option in help_text, option


def test_readme_exit_codes_are_the_real_ones() -> None:
    assert "0 pass, 1 finding, 2 usage, 3 inconclusive, 4 could not check" in README
    codes = [exit_code(s) for s in (Status.PASS, Status.FAIL, Status.INCONCLUSIVE, Status.ERROR)]
    assert codes == [0, 1, 3, 4]


def test_readme_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^    make ([a-z]+)", README, re.M)) <= targets

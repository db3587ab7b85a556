"""The command table: every command there is, by its words.

Modules are named, not imported: a run pays for its own command only.
"""

from __future__ import annotations

from vmctl.cli.grammar import Command, Commands

# One line for each, however long: it is read as a table.
# ruff: noqa: E501
COMMANDS: Commands = {
    "command list": Command("vmctl.cli.basics", "command_list", "list the commands"),
    "complete": Command("vmctl.cli.completion", "complete", "list what may follow", plain=True, hidden=True),
    "completion": Command("vmctl.cli.completion", "script", "print a shell's completion script", names=("shell",), plain=True),
    "help": Command("vmctl.cli.help", "help_words", "show help for words, exit-codes or environment", plain=True),
    "version": Command("vmctl.cli.help", "version", "print the version", plain=True),
}  # fmt: skip

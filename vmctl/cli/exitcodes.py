"""Every code that a run may end with; the first six are those of `openstack`."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
WARNINGS = 16
BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141

EXIT_CODES = (
    (OK, "success"),
    (FAILED, "the command failed, or failed for some of the names it was given"),
    (USAGE, "the command line, or a file that it names, is wrong"),
    (10, "no valid host"),
    (11, "a host does not answer, refuses us, or fails a command"),
    (12, "a time limit passed while waiting"),
    (13, "the database is locked, too new, or out of reach"),
    (14, "some of a batch succeeded"),
    (15, "the server is locked or protected"),
    (WARNINGS, "warnings: nothing failed, and something should be looked at"),
    (17, "someone else is at the same work: nothing was done"),
    (20, "changes are pending, where the command was asked to tell"),
    (BUG, "a bug in vmctl; the debug log has the traceback"),
    (INTERRUPTED, "interrupted by ^C"),
    (PIPE_CLOSED, "whoever read the output went away"),
)

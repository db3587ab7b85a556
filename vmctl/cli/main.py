"""The dispatcher: from argv through the command table to an exit code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vmctl.cli import boundary, console
from vmctl.cli.commands import COMMANDS
from vmctl.cli.completers import COMPLETERS
from vmctl.cli.frame import Frame, load, load_plain
from vmctl.cli.grammar import Command, match, read_head, read_line, wants_help
from vmctl.cli.options import Globals, settle
from vmctl.config import load as load_config
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vmctl.bootstrap import App
    from vmctl.cli.completers import Completers
    from vmctl.cli.debuglog import DebugLog
    from vmctl.cli.grammar import Commands, Line
    from vmctl.cli.options import Found
    from vmctl.config import Config

_DEBUG, _INFO, _WARNING, _ERROR = 10, 20, 30, 40


def run(
    argv: Sequence[str],
    commands: Commands = COMMANDS,
    build: Callable[[Config], App] | None = None,
) -> int:
    """Run vmctl as a program, which owns the process and its streams."""
    console.prepare()
    try:
        return dispatch(argv, commands, build or _build)
    finally:
        console.let_go()


def dispatch(
    argv: Sequence[str],
    commands: Commands,
    build: Callable[[Config], App],
    *,
    environ: Mapping[str, str] | None = None,
    completers: Completers = COMPLETERS,
) -> int:
    """Run one line against a command table; tests compose a table and an App of their own."""
    frame = Frame(commands, build, os.environ if environ is None else environ, completers)
    one = _Run(frame, list(argv))
    code = boundary.guard(one.work, one.report)
    # Writing the last of it down may fail as anything else may.
    return boundary.guard(lambda: one.close(code), one.report)


def _build(config: Config) -> App:
    from vmctl.bootstrap import build

    return build(config)


class _Run:
    """One line on its way to an exit code."""

    def __init__(self, frame: Frame, argv: list[str]) -> None:
        self.frame = frame
        self.argv = argv
        self.options = _glimpse(argv, frame.environ)
        self.name: str | None = None
        self._id: str | None = None
        self._log: DebugLog | None = None
        self._app: App | None = None

    def work(self) -> int:
        """Find the command and run it."""
        _refuse_bytes(self.argv)
        commands = self.frame.commands
        head = read_head(self.argv)
        self.name = match(head.words, commands)
        if self.name is None:
            return self._without_command(head.words, head.found[-1], head.problem, head.stopped_at)
        last = len(self.name.split()) - 1
        command = commands[self.name]
        return self._run(command, self.argv[head.ends[last] :], head.found[last])

    def report(self, error: VmctlError) -> None:
        """Write an error down, and tell it; a slip on the command line is not worth a file."""
        if not isinstance(error, UsageError):
            boundary.record(error, self.log())
        elif error.hint is None and self.name is not None:
            error.hint = f"vmctl help {self.name}"
        boundary.tell(error, self.options, self.frame.environ, self.id())

    def close(self, code: int) -> int:
        """Give everything back; return the code that the run ends with."""
        if self._app is not None:
            self._app.close()
        if self._log is not None:
            self._log.close(code)
        return code

    def id(self) -> str:
        """Return the name of this run, in the form of a request id."""
        if self._id is None:
            digits = f"{int.from_bytes(os.urandom(16)):032x}"
            self._id = (
                f"req-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
            )
        return self._id

    def log(self) -> DebugLog:
        """Return the debug log, which opens its file at its first line."""
        if self._log is None:
            from vmctl.cli.debuglog import DebugLog

            options = self.options
            levels = ((options.debug, _DEBUG), (options.quiet, _ERROR), (options.verbose, _INFO))
            self._log = DebugLog(
                f"{load_config(self.frame.environ).state_folder}/log",
                argv=self.argv,
                run=self.id(),
                file=options.log_file,
                echo=next((level for said, level in levels if said), _WARNING),
            )
        return self._log

    def _without_command(
        self, words: Sequence[str], found: Found, problem: UsageError | None, option: str | None
    ) -> int:
        from vmctl.cli import help as helps

        commands = self.frame.commands
        text: str | None = None
        if words:
            text = helps.of_words(words, commands) if wants_help(self.argv) else None
        elif problem is not None:
            raise problem
        elif "--version" in found:
            text = helps.version(self.frame, self.options, [])
        elif option is None or "--help" in found:
            text = helps.overview(commands)
        else:
            raise UsageError(
                f"no such option: {option}", hint="a command's options stand after its words"
            )
        if text is None:
            raise helps.unknown(words, commands)
        console.write(text)
        return 0

    def _run(self, command: Command, rest: Sequence[str], found: Found) -> int:
        line = self._line(command, rest, found)
        if line is None or "--help" in line.found:
            from vmctl.cli import help as helps

            console.write(helps.of_command(self.name or "", self.frame.commands))
            return 0
        self.options = settle(line.found, self.frame.environ)
        if "--version" in line.found:
            from vmctl.cli.help import version

            console.write(version(self.frame, self.options, []))
        elif command.plain:
            text = load_plain(command)(self.frame, self.options, line.args)
            console.write(text)
        else:
            return self._run_click(command, line.args)
        return 0

    def _line(self, command: Command, rest: Sequence[str], found: Found) -> Line | None:
        """Read what follows the words; None where help is asked for amid a mistake."""
        own = {}
        if not command.plain:
            from vmctl.cli.command import shapes

            own = shapes(load(command))
        try:
            return read_line(rest, own, found)
        except UsageError:
            if wants_help(rest):
                return None
            raise

    def _run_click(self, command: Command, args: list[str]) -> int:
        from vmctl.cli.context import Context

        options = self.options
        log = self.log()
        log.attach_if_used()
        if options.debug or options.verbose or options.log_file:
            log.begin()
            log.attach()
        context = Context(
            options=options,
            config=load_config(
                self.frame.environ,
                db=options.db,
                inventory=options.inventory,
                project=options.project,
            ),
            environ=self.frame.environ,
            commands=self.frame.commands,
            log=log,
            find_app=self._find_app,
        )
        loaded = load(command)
        with loaded.make_context(f"vmctl {self.name}", args, obj=context) as scope:
            return int(loaded.invoke(scope) or 0)

    def _find_app(self) -> App:
        if self._app is None:
            options = self.options
            self._app = self.frame.build(
                load_config(
                    self.frame.environ,
                    db=options.db,
                    inventory=options.inventory,
                    project=options.project,
                )
            )
            # A run that goes outside leaves a log; the adapters have brought logging in by now.
            self.log().begin()
            self.log().attach_if_used()
        return self._app


def _glimpse(argv: Sequence[str], environ: Mapping[str, str]) -> Globals:
    """Guess how errors are to be told, for those that come before the line is understood."""
    format_ = environ.get("VMCTL_ERROR_FORMAT")
    if "--" in argv:
        argv = argv[: argv.index("--")]
    for place, word in enumerate(argv):
        if word == "--error-format":
            format_ = argv[place + 1] if place + 1 < len(argv) else format_
        elif word.startswith("--error-format="):
            format_ = word.partition("=")[2]
    return Globals(
        error_format="json" if format_ == "json" else "text",
        quiet="-q" in argv or "--quiet" in argv,
        debug="--debug" in argv,
    )


def _refuse_bytes(argv: Sequence[str]) -> None:
    """Refuse words that are no UTF-8 here, before a database or a template chokes on them."""
    for place, word in enumerate(argv, 1):
        if word == "--":
            return  # What follows goes to a host as it is.
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"argument {place} is not valid UTF-8: {word}") from None

"""The error boundary: every way a run can end becomes an exit code, and what people are told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from vmctl.cli import console
from vmctl.cli.color import paint_hint, wants_color
from vmctl.cli.exitcodes import BUG, FAILED, INTERRUPTED, OK, PIPE_CLOSED
from vmctl.cli.text import neutral
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.cli.debuglog import DebugLog
    from vmctl.cli.options import Globals

_ERROR = 40


class Bug(VmctlError):
    """Something that vmctl did not expect of itself."""

    exit_code = BUG


def guard(work: Callable[[], int], report: Callable[[VmctlError], None]) -> int:
    """Run the work; return the exit code that its end means, once the error was reported."""
    try:
        return work()
    except (KeyboardInterrupt, console.PipeClosed) as end:
        return INTERRUPTED if isinstance(end, KeyboardInterrupt) else PIPE_CLOSED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else OK if end.code is None else FAILED
    except VmctlError as error:
        report(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary is where nothing may pass
        if _is_abort(error):
            return INTERRUPTED
        ours = _from_click(error) or Bug(f"vmctl has a bug: {type(error).__name__}: {error}")
        ours.__cause__ = error
        report(ours)
        return ours.exit_code


def record(error: VmctlError, log: DebugLog) -> None:
    """Write an error down with its traceback."""
    import traceback

    told = error.__cause__ if isinstance(error, Bug) and error.__cause__ else error
    log.write(_ERROR, "traceback", "".join(traceback.format_exception(told)).rstrip("\n"))
    if isinstance(error, Bug):
        error.hint = (
            f"the traceback is in {log.path}" if log.path else "--debug shows the traceback"
        )


def tell(error: VmctlError, options: Globals, environ: Mapping[str, str], run: str) -> None:
    """Print an error on stderr, and what to do about it."""
    if options.error_format == "json":
        console.tell(_as_json(error, run))
        return
    console.tell(neutral(error.message))
    if error.hint and not options.quiet:
        color = wants_color(options.color, environ, tty=console.stderr_is_tty())
        console.tell(f"{paint_hint('hint:') if color else 'hint:'} {neutral(error.hint)}")


def _as_json(error: VmctlError, run: str) -> str:
    from json import dumps

    return dumps(
        {
            "error": {
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
                "exit_code": error.exit_code,
                "request_id": run,
                "details": error.details,
            }
        },
        default=str,
    )


def _is_abort(error: Exception) -> bool:
    click = sys.modules.get("click")
    return click is not None and isinstance(error, click.Abort)


def _from_click(error: Exception) -> VmctlError | None:
    """Turn an error of click's into ours; where click was never imported there is none."""
    click = sys.modules.get("click")
    if click is None or not isinstance(error, click.ClickException):
        return None
    kind = UsageError if isinstance(error, click.UsageError) else VmctlError
    message = error.format_message().strip()
    return kind(message[:1].lower() + message[1:].removesuffix("."))

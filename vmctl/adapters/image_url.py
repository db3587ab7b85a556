"""Images by URL, as seen from here: what they are, and their bytes where those are needed.

Only http and https, redirections included: no URL ever leads into this machine's own files.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vmctl.adapters.kept_images import CHUNK, Bytes, no_progress
from vmctl.domain.image_format import HEAD, Detected, detect
from vmctl.domain.url import told
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from vmctl.adapters.kept_images import Progress

_PATIENCE = 30.0
_SCHEMES = ("http", "https")


def check_url(url: str) -> str:
    """Return a URL that a host may be told to fetch; raises UsageError for any other."""
    try:
        parts = urlsplit(url)
        fit = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if not fit or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"{url!r} is no URL that an image can be fetched from (http or https)")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "a URL with a name or a password in it is not taken: whoever lists images or servers"
            " would read it",
            hint="get the file by yourself and give it by --file",
        )
    return url


def peek(url: str) -> tuple[Detected, int | None]:
    """Tell what is behind a URL by its beginning, and how many bytes there are, if that is said."""
    with _opened(url, {"Range": f"bytes=0-{HEAD - 1}"}) as answer:
        head = answer.read(HEAD)
        size = _size(answer)
    if size is None and len(head) < HEAD:
        size = len(head)
    return detect(head, size or 1 << 62, told(url)), size


def measure(url: str, progress: Progress = no_progress) -> Bytes:
    """Read all that is behind a URL, and keep nothing but what it is."""
    digest, head, tail, done = hashlib.sha256(), b"", b"", 0
    for more in stream(url, progress):
        head += more[: HEAD - len(head)]
        tail = (tail + more)[-512:]
        digest.update(more)
        done += len(more)
    found = detect(head, done, told(url), tail=tail)
    return Bytes(digest=digest.hexdigest(), size=done, detected=found)


def stream(url: str, progress: Progress = no_progress) -> Iterator[bytes]:
    """Read what is behind a URL piece by piece."""
    with _opened(url, {}) as answer:
        size, done = _size(answer), 0
        while more := answer.read(CHUNK):
            yield more
            done += len(more)
            progress(done, size)
        if size is not None and done != size:
            raise VmctlError(
                f"{told(url)}: it ended after {done} of {size} bytes", hint="try again"
            )


@contextlib.contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[Any]:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    asked = urllib.request.Request(  # noqa: S310 - the opener has no other schemes
        check_url(url), headers={"User-Agent": "vmctl", "Accept-Encoding": "identity", **headers}
    )
    try:
        answer = opener.open(asked, timeout=_PATIENCE)
        if answer is None:
            raise VmctlError(f"{told(url)}: it leads to where neither http nor https does")
        with answer:
            yield answer
    except urllib.error.HTTPError as error:
        error.close()
        raise VmctlError(
            f"{told(url)}: the server answered {error.code} {error.reason}",
            hint="is the URL right?",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise VmctlError(f"{told(url)}: it cannot be read: {why}") from error


def _size(answer: Any) -> int | None:
    """Say how many bytes there are in all: of a part, the range says it."""
    word = str(answer.headers.get("Content-Range") or "").rpartition("/")[2]
    if not word.isdecimal():
        word = str(answer.headers.get("Content-Length") or "") if answer.status == 200 else ""
    return int(word) if word.isdecimal() else None

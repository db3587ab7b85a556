"""A web server of a test's own, which can be unwilling in several ways."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Web:
    """What it serves by path, and what it was asked for."""

    root: str
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    tells_size: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    """While it is cleared, only a half of what was asked for is sent."""

    def __post_init__(self) -> None:
        self.hold.set()

    def url(self, path: str) -> str:
        return f"{self.root}/{path}"

    def put(self, path: str, content: bytes) -> str:
        self.files[f"/{path}"] = content
        return self.url(path)


@contextmanager
def web(address: str = "127.0.0.1") -> Iterator[Web]:
    """Serve until the block ends."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            served.asked.append((self.path, span))
            if self.path in served.redirects:
                self.send_response(302)
                self.send_header("Location", served.redirects[self.path])
                self.end_headers()
                return
            content = served.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            if span and served.ranges:
                last = int(span.rpartition("-")[2])
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes 0-{min(last, len(content) - 1)}/{len(content)}"
                )
                content = content[: last + 1]
            else:
                self.send_response(200)
            if served.tells_size:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                served.hold.wait(120)
                self.wfile.write(content[len(content) // 2 :])
            except OSError:
                self.close_connection = True

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((address, 0), Answer)
    server.daemon_threads = True
    served = Web(root=f"http://{address}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.hold.set()
        server.shutdown()
        server.server_close()  # which waits for no answer that is under way
        thread.join()

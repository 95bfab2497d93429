"""Giving a person their report: the bytes, or a page served from memory until it is closed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

from models.schema.errors import NotFound
from models.schema.kinds import Role
from storage.assembly import Storage
from storage.handles import Operation, Use


def report_bytes(storage: Storage, upload_id: str) -> bytes:
    """The report's page, opened as the person's own access (Policy P16)."""
    upload = storage.uploads.by_id(upload_id)
    rows = storage.uploads.objects_of(upload.id, kind="report")
    if not rows:
        raise NotFound(
            f"This upload has no report; its state is '{upload.state.value}'.",
            remedy="Only admitted uploads, and those that wait for identification, have one.",
        )
    use = Use(Role.PERSON, Operation.ACCESS, frozenset(), upload.id)
    with storage.door.open(rows[-1].id, use) as reader:
        return reader.read()


def serve_report(page: bytes, *, announce: Callable[[str], None]) -> None:
    """Serve the page on loopback, under an address nobody can guess, until interrupted.

    Nothing is written to disk, and the browser is told to keep no copy.
    """
    path = f"/{secrets.token_urlsafe(24)}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == path
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            if found:
                self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the address out of logs."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        announce(f"http://127.0.0.1:{server.server_port}{path}  (Ctrl-C closes it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            announce("closed")

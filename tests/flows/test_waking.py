"""An event only wakes: it holds a random id, delays nobody, and fails for nobody."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import flows.opening
import flows.settings
from flows.opening import storage
from flows.waking import (
    ACCOUNT_CLOSED,
    CONSENT_WITHDRAWN,
    ERASURE_ORDERED,
    event_of,
    wake,
)
from models.schema.purposes import Purpose
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import Order
from storage.erasure.orders import Request

SUBJECT = "subject-anna-kowalska"


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Order]:
    """The order to close an account, in a house of its own."""
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))
    caches = (flows.settings.settings, flows.opening.storage)
    for cached in caches:
        cached.cache_clear()
    yield storage().orders.place(Request(Scope.ACCOUNT, SUBJECT))
    for cached in caches:
        cached.cache_clear()


@contextmanager
def _listening() -> Iterator[tuple[str, list[Any]]]:
    """A server that takes whatever is posted to it; its address, and what it was sent."""
    sent: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", sent
    finally:
        server.shutdown()
        server.server_close()


def _wait_for_senders() -> None:
    for thread in threading.enumerate():
        if thread.name == "waking":
            thread.join(20)


def test_the_event_holds_the_orders_random_id_and_nothing_of_whom_it_is_about(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _listening() as (address, sent):
        monkeypatch.setenv("PREFECT_API_URL", address)
        wake(order.id)
        _wait_for_senders()
    (((event,)),) = sent
    assert event["event"] == ACCOUNT_CLOSED
    assert event["payload"]["order"] == order.id
    assert event["resource"] == {"prefect.resource.id": f"likeness.order.{order.id}"}
    told = json.dumps(event)
    pseudonym = storage().vault.pseudonym("account", SUBJECT)
    assert not [word for word in (SUBJECT, pseudonym, order.scope_id) if word in told]


def test_a_server_that_accepts_and_never_answers_delays_nobody(
    order: Order, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/api")
        begun = time.monotonic()
        wake(order.id)
        assert time.monotonic() - begun < 0.5
        with caplog.at_level(logging.WARNING):
            _wait_for_senders()
    assert order.id in caplog.text
    assert SUBJECT not in caplog.text


def test_without_a_server_nothing_is_sent(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    wake(order.id)
    assert [thread for thread in threading.enumerate() if thread.name == "waking"] == []


@pytest.mark.parametrize(
    ("scope", "purpose", "event"),
    [
        (Scope.ACCOUNT, None, "account.closed"),
        (Scope.AVATAR, None, "avatar.deleted"),
        (Scope.SUBJECT, Purpose.VOICE_CLONING, CONSENT_WITHDRAWN),
        (Scope.SUBJECT, None, ERASURE_ORDERED),
        (Scope.UPLOAD, None, ERASURE_ORDERED),
    ],
)
def test_every_order_has_an_event_that_the_deployment_waits_for(
    order: Order, scope: Scope, purpose: Purpose | None, event: str
) -> None:
    named = event_of(Order(**{**vars(order), "scope": scope, "purpose": purpose}))
    assert named == event
    deployed = Path(__file__).resolve().parents[2] / "prefect.yaml"
    assert f"- {event}\n" in deployed.read_text("utf-8")

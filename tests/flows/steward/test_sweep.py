"""The sweep carries out whatever is due, and tells in time of what will be late."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flows.settings import Settings
from flows.steward.sweep import exit_code_of, sweep_orders, warnings
from flows.steward.upkeep import keep_up
from models.consent.facts import EvidenceLevel
from models.schema.erasure import ErasureGround, Requester
from storage.assembly import Storage
from storage.catalogue.freezes import Scope
from storage.catalogue.orders import OrderState
from storage.erasure.orders import Request
from storage.registers.evidence import Evidence
from tests.flows.conftest import House
from tests.storage.conftest import AdmittedFactory, MovableClock, ReceivedFactory

DOCUMENT = Evidence(b"a document", EvidenceLevel.DOCUMENT)

pytestmark = pytest.mark.usefixtures("settings")


def of_subject(name: str) -> Request:
    return Request(Scope.SUBJECT, name)


def test_an_order_that_nobody_woke_is_carried_out_to_its_receipt(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    order = storage.orders.place(of_subject("s-1"))
    swept = sweep_orders(storage)
    assert [each.order.state for each in swept.orders] == [OrderState.DONE]
    assert storage.receipts.of(order.id).receipt.order == order.id
    assert (swept.failed, swept.urgent) == ([], [])
    assert sweep_orders(storage).orders == []


def _worker(storage: Storage, order: str, *, after: str, then: Callable[[], object]) -> int:
    """Another process at the order, which does something after a step; returns its number."""
    process = os.fork()
    if process == 0:

        def passed(step: str) -> None:
            if step == after:
                then()

        storage.carrying_out._passed = passed
        storage.carrying_out.run(order)
        os._exit(0)
    return process


def test_an_order_whose_worker_was_killed_is_resumed_at_once(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    order = storage.orders.place(of_subject("s-1"))
    process = _worker(
        storage, order.id, after="fenced", then=lambda: os.kill(os.getpid(), signal.SIGKILL)
    )
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert storage.orders.by_id(order.id).order.state is OrderState.RUNNING
    assert [each.order.state for each in sweep_orders(storage).orders] == [OrderState.DONE]


def test_an_order_that_another_worker_is_at_is_left_to_it(
    storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    order = storage.orders.place(of_subject("s-1"))
    process = _worker(storage, order.id, after="taken", then=lambda: time.sleep(60))
    try:
        while storage.orders.by_id(order.id).order.state is not OrderState.RUNNING:
            time.sleep(0.02)
        swept = sweep_orders(storage)
        assert [each.order.state for each in swept.orders] == [OrderState.RUNNING]
        assert swept.failed == []
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert sweep_orders(storage).orders[0].order.state is OrderState.DONE


def test_a_held_order_waits_without_being_a_failure_and_runs_by_itself_when_the_hold_is_over(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    storage.holds.place(
        Scope.SUBJECT,
        "s-1",
        case="d",
        document=DOCUMENT,
        expires_at=clock() + timedelta(days=10),
    )
    order = storage.orders.place(of_subject("s-1"))
    swept = sweep_orders(storage)
    assert (swept.orders, swept.failed) == ([], [])
    clock.advance(timedelta(days=11))
    assert [each.order.id for each in sweep_orders(storage).orders] == [order.id]
    assert storage.orders.by_id(order.id).order.state is OrderState.DONE


def test_a_minor_whose_guardian_was_not_reached_is_erased_from_the_deadline_on(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    storage.minors.flag("s-1", turns_18_on=None, fourteen_or_under=True)
    assert sweep_orders(storage).orders == []
    clock.advance(timedelta(days=16))
    (done,) = sweep_orders(storage).orders
    assert done.order.ground is ErasureGround.NO_GUARDIAN_CONSENT
    assert done.order.state is OrderState.DONE


def test_from_the_announced_end_of_the_service_on_everybody_is_erased(
    storage: Storage, admitted: AdmittedFactory, received: ReceivedFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    received("s-2", account="firm", content=[b"another"])
    storage.termination.announce(clock() + timedelta(days=31), DOCUMENT)
    assert sweep_orders(storage).placed == []
    clock.advance(timedelta(days=32))
    swept = sweep_orders(storage)
    assert {each.order.id for each in swept.orders} == set(swept.placed)
    assert {each.order.ground for each in swept.orders} == {ErasureGround.SERVICE_ENDED}
    assert {each.order.state for each in swept.orders} == {OrderState.DONE}
    assert list(storage.store.list_keys()) == []


def test_what_one_order_fails_with_keeps_no_other_one_from_its_turn(
    storage: Storage, home: Path, admitted: AdmittedFactory
) -> None:
    """Something that cannot be unlinked lies where an object of the first one should."""
    broken = admitted("s-1").upload
    admitted("s-2")
    first, second = (storage.orders.place(of_subject(name)) for name in ("s-1", "s-2"))
    key = storage.uploads.objects_of(broken.id)[0].store_key or ""
    (file,) = (path for path in home.rglob(key) if path.is_file())
    file.unlink()
    (file / "in the way").mkdir(parents=True)

    swept = sweep_orders(storage)

    assert [each.standing and each.standing.order.id for each in swept.failed] == [first.id]
    assert key not in swept.failed[0].error.message
    assert exit_code_of(swept.failed) == 4
    states = {each.order.id: each.order.state for each in swept.orders}
    assert states == {first.id: OrderState.RUNNING, second.id: OrderState.DONE}
    shutil.rmtree(file)
    assert [each.order.state for each in sweep_orders(storage).orders] == [OrderState.DONE]


def test_the_alarm_is_raised_before_an_order_is_late_and_not_for_one_that_is_done(
    storage: Storage, admitted: AdmittedFactory, clock: MovableClock
) -> None:
    admitted("s-1")
    storage.holds.place(
        Scope.SUBJECT,
        "s-1",
        case="d",
        document=DOCUMENT,
        expires_at=clock() + timedelta(days=40),
    )
    order = storage.orders.place(of_subject("s-1"))
    assert sweep_orders(storage).urgent == []
    clock.now = order.due_at - timedelta(days=5)
    swept = sweep_orders(storage)
    assert [each.order.id for each in swept.urgent] == [order.id]
    assert not swept.urgent[0].late
    (told,) = warnings(swept)
    assert order.id in told
    assert "is due" in told
    assert exit_code_of(swept.failed) == 0
    clock.now = order.due_at + timedelta(days=11)
    assert sweep_orders(storage).urgent == []


def test_a_house_without_a_server_lets_expire_what_is_over_in_the_same_round(
    storage: Storage, settings: Settings, received: ReceivedFactory, clock: MovableClock
) -> None:
    received("s-1")
    clock.advance(timedelta(hours=25))
    kept = keep_up(storage, settings)
    assert kept.failed == []
    assert kept.repairs.uploads_abandoned + kept.expired.uploads_abandoned == 1
    assert list(storage.store.list_keys()) == []


def test_the_command_answers_one_json_object_with_orders_alarms_and_failures(
    house_in: Callable[..., House], home: Path, storage: Storage, admitted: AdmittedFactory
) -> None:
    admitted("s-1")
    order = storage.orders.place(
        Request(Scope.SUBJECT, "s-1", requester=Requester.OFFICER, ground=ErasureGround.UNLAWFUL)
    )
    house = house_in(home, LIKENESS_KEYS_URL=f"sqlite:///{home / 'keys.db'}")
    said = house.run("sweep")
    assert said.code == 0
    assert said.fields["ok"] is True
    assert [(each["order"], each["state"]) for each in said.fields["orders"]] == [
        (order.id, "done")
    ]
    assert said.fields["urgent"] == said.fields["failed"] == []

"""Generating with an avatar's voice: a text becomes speech that is sealed, dated and traceable.

What is generated has to carry its labels before anybody is handed it (Policy P24). They are applied
here, between the engine and the door, with issue 11; until then no command offers `generate`, and
the flows and tests that call it hand nothing out.

Knows nothing of Prefect, as training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from flows.fence import Fence
from flows.model_card import ModelCard, card_from
from flows.scratch_files import fetch, pieces_of
from flows.training import CARD
from models.engines import contract, running
from models.engines.contract import (
    MODEL_ROLES,
    Device,
    Engine,
    File,
    Generated,
    Progress,
    Seed,
)
from models.engines.scratch import open_scratch
from models.engines.settings import EngineSettings
from models.schema.errors import BadUsage, NotFound
from models.schema.kinds import Role
from models.schema.tasks import Task
from storage.assembly import Storage
from storage.catalogue.artefacts import Artefact, Generation
from storage.handles import ArtefactRun, Operation, Use
from storage.worker import this_worker

SPEECH: Final = "generated_speech"

Watcher = Callable[[Progress], None]


def _nothing(_: Progress) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Wanted:
    """What is to be said, and how."""

    text: str
    language: str | None = None
    """None: that of the model."""
    seed: Seed = 0
    device: Device = "cpu"
    seconds_most: float = 600.0
    """Wall time."""
    output_seconds_most: float = 600.0


def generate(
    house: Storage,
    artefact: Artefact,
    wanted: Wanted,
    *,
    engine: Engine,
    settings: EngineSettings,
    told: Watcher = _nothing,
) -> Generation:
    """Let an avatar's voice say a text; returns the generation, whose id is that of its object.

    `house.artefacts.newest_usable` finds the artefact. Raises BadUsage where it is no voice or
    another engine made it; ConsentRefused, Frozen or FenceLost where its use is stopped, then or
    meanwhile; BadInput or EngineFailed where the engine cannot say it. Then nothing stays.
    """
    if artefact.task is not Task.VOICE:
        raise BadUsage("Speech is generated with a voice.", remedy="Name the artefact of a voice.")
    if running.declaration_of(engine).name != artefact.engine:
        raise BadUsage(
            f"This voice was trained with {artefact.engine}.",
            remedy="Generate with that engine, or train with the other one.",
        )
    run = house.artefacts.begin_generation(artefact.id)
    try:
        with open_scratch(run.id, settings, worker=this_worker()) as scratch:
            fence = Fence(house.door, run)
            card, trained = _fetched(house, artefact, run, scratch.folder)
            request = _request(wanted, card, trained)
            generated = running.generate(
                engine, request, scratch, settings, told=told, should_stop=fence.is_stopped
            )
            made = _put(house, run, scratch.folder, generated)
        return house.artefacts.finish_generation(
            run, made, seconds=generated.seconds, request=wanted.text
        )
    except BaseException:
        house.door.abandon(run)
        raise


def _fetched(
    house: Storage, artefact: Artefact, run: ArtefactRun, folder: Path
) -> tuple[ModelCard, list[File]]:
    """The model's card, and its files in the scratch folder under the names they were given."""
    use = Use(Role.GENERATION, Operation.PROCESS, run.purposes, run.id)
    cards = [row.id for row in house.artefacts.model(artefact) if row.kind == CARD]
    if not cards:
        raise NotFound("This model has no card.", remedy="Train the avatar again.")
    with house.door.open(cards[0], use) as reader:
        card = card_from(reader.read())
    kept = card.with_roles(MODEL_ROLES)
    for each in kept:
        fetch(house.door, each.object, use, folder / each.file.name)
    return card, [each.file for each in kept]


def _request(wanted: Wanted, card: ModelCard, trained: list[File]) -> contract.Generation:
    try:
        return contract.Generation(
            text=wanted.text,
            language=wanted.language or card.language,
            trained=tuple(trained),
            seed=wanted.seed,
            device=wanted.device,
            seconds_most=wanted.seconds_most,
            output_seconds_most=wanted.output_seconds_most,
        )
    except ValidationError:
        raise BadUsage(
            "There is no text, or it cannot be asked for in this way.",
            remedy="Give a text, a time above zero, and `cpu` or `cuda` for a device.",
        ) from None


def _put(house: Storage, run: ArtefactRun, folder: Path, generated: Generated) -> str:
    return house.door.put(run, SPEECH, pieces_of(folder / generated.file.name))

"""Every setting, with its default and where it comes from.

A setting is read from the environment as `LIKENESS_` and its name in capitals, nested ones with a
double underscore between (`LIKENESS_VOICE__TRANSCRIBE=false`). What a room under `models/` can be
told stands in that room, with sources; here it is only put together.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from models.consent.rules import ConsentRules
from models.consent.settings import StatementSettings
from models.engines.settings import EngineSettings
from models.face.settings import FaceSettings
from models.media.limits import MediaLimits
from models.schema.errors import BadUsage
from models.schema.retention import Retention
from models.voice.settings import VoiceSettings
from storage.assembly import StorageAddresses
from storage.ledger_settings import LedgerSettings


class Settings(BaseSettings):
    """The house's settings, read once from the environment."""

    model_config = SettingsConfigDict(
        env_prefix="LIKENESS_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    home: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "likeness")
    """Where everything that is kept lies, unless the addresses below say otherwise."""
    catalogue_url: str = ""
    """SQL address of the catalogue; empty: a SQLite file under `home`."""
    keys_url: str = ""
    """SQL address of the key store; empty: a second SQLite file under `home`."""
    objects_url: str = ""
    """`s3://BUCKET?endpoint=HOST:PORT` or a folder; empty: a folder under `home`."""
    region: str = "local"
    """The jurisdiction this deployment serves; what belongs to another is refused (Policy P13)."""
    language: Literal["en", "zh"] = "en"
    """Language of reports and messages."""
    face_picture_side_pixels: int = Field(default=1280, ge=320, le=3840)
    """Longest side at which the picture is decoded: 720p, beyond which faces gain nothing."""
    media_limits: MediaLimits = MediaLimits()
    """Not `media`: the variable LIKENESS_MEDIA names the recordings that the tests use."""
    voice: VoiceSettings = VoiceSettings()
    face: FaceSettings = FaceSettings()
    statement: StatementSettings = StatementSettings()
    retention: Retention = Retention()
    consent: ConsentRules = ConsentRules()
    ledger: LedgerSettings = LedgerSettings()
    engines: EngineSettings = EngineSettings()

    @property
    def scratch(self) -> Path:
        """Folder for unlinked files and what reconcile clears."""
        return self.home / "scratch"

    @property
    def storage(self) -> StorageAddresses:
        """The addresses that the storage room is opened with."""
        return StorageAddresses(
            catalogue_url=self.catalogue_url or f"sqlite:///{self.home / 'catalogue.db'}",
            keys_url=self.keys_url or f"sqlite:///{self.home / 'keys' / 'keys.db'}",
            objects_url=self.objects_url or str(self.home / "objects"),
            keys_folder=self.home / "keys",
            region=self.region,
            retention=self.retention,
            rules=self.consent,
            ledger=self.ledger,
        )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process; raises BadUsage for a variable that cannot be read."""
    try:
        return Settings()
    except ValidationError as error:
        places = {"__".join(str(part) for part in each["loc"]).upper() for each in error.errors()}
        named = ", ".join(f"LIKENESS_{place}" for place in sorted(places))
    except SettingsError:
        named = "a nested one, which is written as JSON or with __ between its parts"
    raise BadUsage(
        f"A setting in the environment cannot be used: {named}.",
        remedy="Correct the variable or unset it; flows/settings.py says what each may hold.",
    )

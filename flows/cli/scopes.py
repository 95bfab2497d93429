"""The options that name one account, person, avatar or upload."""

from __future__ import annotations

from typing import Annotated

import typer

Subject = Annotated[str | None, typer.Option("--subject", help="Your own id of the person.")]
Account = Annotated[str | None, typer.Option("--account", help="Your own id of the account.")]
Avatar = Annotated[str | None, typer.Option("--avatar", help="The avatar's id.")]
Upload = Annotated[str | None, typer.Option("--upload", help="The upload's id.")]

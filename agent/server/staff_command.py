"""`storehand staff …`: who may sign in to the console."""

from typing import Annotated

import typer
from rich.console import Console

from agent.server.accounts import ACCOUNTS, Accounts
from agent.settings import load_settings

app = typer.Typer(name="staff", help="Say who may sign in to the staff console.", no_args_is_help=True)
out = Console(highlight=False, soft_wrap=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As colleagues and customers read it.")]


@app.command()
def add(
    name: Name,
    password: Annotated[
        str, typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, help="Asked for if it is not given.")
    ],
) -> None:
    """Let somebody sign in, or give them a new password."""
    _accounts().add(name, password)
    out.print(f"{name} may sign in.", markup=False)


@app.command()
def remove(name: Name) -> None:
    """Let somebody sign in no more; their sessions end at once."""
    _accounts().remove(name)
    out.print(f"{name} may sign in no more.", markup=False)


def _accounts() -> Accounts:
    return Accounts(load_settings().data_dir / ACCOUNTS)

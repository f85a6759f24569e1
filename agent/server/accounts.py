"""Staff accounts: names with scrypt hashes of their passwords, in one file of the data folder that only its owner reads."""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from tools.kit.errors import OperatorError

ACCOUNTS = "staff.json"
"""The file's name in the data folder."""
LEAST_CHARACTERS = 10
_COST = {"n": 2**14, "r": 8, "p": 5, "maxmem": 64 * 1024 * 1024}
"""OWASP's parameters for scrypt with 16 MiB."""


@dataclass(frozen=True)
class Accounts:
    """The accounts in `file`; it may be changed while a server runs."""

    file: Path

    def add(self, name: str, password: str) -> None:
        """Let a member of staff sign in, or give them a new password. Raises OperatorError for a bad name or a short password."""
        name = " ".join(name.split())
        if not name or len(name) > 60 or not name.isprintable():
            raise OperatorError("a name has 1 to 60 visible characters.")
        if len(password) < LEAST_CHARACTERS:
            raise OperatorError(
                f"a password has at least {LEAST_CHARACTERS} characters; take three words that do not belong together."
            )
        salt = secrets.token_hex(16)
        accounts = {**self._read(), name: {"salt": salt, "hash": _hashed(password, salt)}}
        self._write(accounts)

    def remove(self, name: str) -> None:
        """Let somebody sign in no more; sessions end at once. Raises OperatorError if there is no such account."""
        accounts = self._read()
        if accounts.pop(name, None) is None:
            raise OperatorError(f"no member of staff '{name}'; there are: {', '.join(sorted(accounts)) or 'none'}.")
        self._write(accounts)

    def sign_in(self, name: str, password: str) -> str | None:
        """What stands for this account and password in a session; None if they do not belong together. Takes equally long for both."""
        account = self._read().get(name)
        hashed = _hashed(password, account["salt"] if account else "00" * 16)
        return self.stands_for(name) if account and hmac.compare_digest(hashed, account["hash"]) else None

    def stands_for(self, name: str) -> str | None:
        """What stands for the account in a session; another password is another account."""
        account = self._read().get(name)
        return hashlib.sha256(account["hash"].encode()).hexdigest()[:16] if account else None

    def _read(self) -> dict[str, dict[str, str]]:
        if not self.file.exists():
            return {}
        loaded: dict[str, dict[str, str]] = json.loads(self.file.read_text("utf-8"))
        return loaded

    def _write(self, accounts: dict[str, dict[str, str]]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_name(f"{self.file.name}.{os.getpid()}.part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as made:
            json.dump(accounts, made, ensure_ascii=False)
        part.replace(self.file)


def _hashed(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), dklen=32, **_COST).hex()

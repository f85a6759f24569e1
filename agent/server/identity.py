"""Who sends a request: the shop's word for its customers, and the tokens that this server makes of it.

A customer's identity comes signed from the shop's back end, or there is none. What the server gives back is a session: a token that
holds the conversation and the customer, so that no later request can name another one. It does not know what either may do.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt

from agent.server.problems import Problem
from agent.settings import ServerSettings
from tools.kit.errors import OperatorError

ALGORITHM = "HS256"
"""The only one, whatever a token says of itself."""
LEEWAY_S = 30
"""Clocks of two machines differ."""
LONGEST_IDENTITY = timedelta(hours=1)
"""An identity is for opening a session, not for keeping."""
CUSTOMER_AUDIENCE = "storehand:customer"
STAFF_AUDIENCE = "storehand:staff"


@dataclass(frozen=True)
class Visitor:
    """Whom a session is of: one conversation, and the customer whom the shop vouched for, if any."""

    conversation: str
    customer: str | None


class Identities:
    """Checks what shops sign and makes sessions. Secrets come from the settings, else from `folder`, where they are made once."""

    def __init__(self, settings: ServerSettings, folder: Path) -> None:
        self._settings = settings
        self._shop_secret = settings.identity_secret.get_secret_value() or kept_secret(folder / "identity.key")
        self._own_secret = settings.session_secret.get_secret_value() or kept_secret(folder / "session.key")

    def customer_of_jwt(self, token: str, now: datetime) -> str:
        """The customer whom a JWT of the shop's names. Raises Problem 401 for a forged, expired, foreign or long-lived one."""
        claims = _decoded(token, self._shop_secret, self._settings.audience, now)
        if claims["exp"] - now.timestamp() > LONGEST_IDENTITY.total_seconds() + LEEWAY_S:
            raise _refused()
        return str(claims["sub"])

    def customer_of_hash(self, customer: str, digest: str) -> str:
        """The customer, if `digest` is the shop's HMAC-SHA256 of the id in hex. Raises Problem 401."""
        if not hmac.compare_digest(self.hash_of(customer).encode(), digest.lower().encode()):
            raise _refused()
        return customer

    def hash_of(self, customer: str) -> str:
        """What the shop's back end computes for this customer."""
        return hmac.new(self._shop_secret.encode(), customer.encode(), hashlib.sha256).hexdigest()

    def jwt_of(self, customer: str, now: datetime) -> str:
        """What the shop's back end would sign for this customer: for the demo page."""
        claims = {"sub": customer, "aud": self._settings.audience, "exp": now + timedelta(minutes=5)}
        return jwt.encode(claims, self._shop_secret, ALGORITHM)

    def session(self, visitor: Visitor, now: datetime) -> tuple[str, datetime]:
        """A session's token, and when it ends."""
        ends = now + timedelta(hours=self._settings.session_hours)
        claims = {"cid": visitor.conversation, "customer": visitor.customer, "sub": visitor.conversation}
        return self._signed(claims, CUSTOMER_AUDIENCE, now, ends), ends

    def visitor(self, token: str, now: datetime) -> Visitor:
        """Whom a session's token is of. Raises Problem 401."""
        claims = _decoded(token, self._own_secret, CUSTOMER_AUDIENCE, now)
        return Visitor(conversation=claims["cid"], customer=claims["customer"])

    def staff_session(self, name: str, account: str, now: datetime) -> tuple[str, datetime]:
        """A token for a member of staff; `account` changes with the password, and then older tokens end."""
        ends = now + timedelta(hours=self._settings.staff_hours)
        return self._signed({"sub": name, "account": account}, STAFF_AUDIENCE, now, ends), ends

    def staff(self, token: str, now: datetime) -> tuple[str, str]:
        """Name and account of a staff token. Raises Problem 401."""
        claims = _decoded(token, self._own_secret, STAFF_AUDIENCE, now)
        return claims["sub"], claims["account"]

    def _signed(self, claims: dict[str, Any], audience: str, now: datetime, ends: datetime) -> str:
        return jwt.encode({**claims, "aud": audience, "iat": now, "exp": ends, "jti": uuid4().hex}, self._own_secret, ALGORITHM)


def kept_secret(file: Path) -> str:
    """The secret in `file`, made there with mode 600 if there is none. Raises OperatorError if others can read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    if not file.exists():
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(secrets.token_hex(32))
        try:
            os.link(part, file)  # of two processes that start together, the first one's stays
        except FileExistsError:
            pass
        finally:
            part.unlink()
    if file.stat().st_mode & 0o077:
        raise OperatorError(f"'{file}' can be read by others; keep it with: chmod 600 '{file}'.")
    return file.read_text().strip()


def _decoded(token: str, secret: str, audience: str, now: datetime) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=audience,
            leeway=LEEWAY_S,
            # The time is checked below against the server's clock.
            options={"require": ["exp", "sub", "aud"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        is_good = claims["exp"] + LEEWAY_S > now.timestamp() >= claims.get("nbf", 0) - LEEWAY_S
    except (jwt.InvalidTokenError, TypeError, ValueError) as error:
        raise _refused() from error
    if not is_good:
        raise _refused()
    return claims


def _refused() -> Problem:
    return Problem(401, "unauthorized", "This sign-in is not valid or has run out; please open the chat again.")

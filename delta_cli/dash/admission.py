"""Who is shown the dashboard in a browser: whoever has the address that the command line printed.

The loopback keeps other machines out, and nobody on this one: any user and any program may open the
port. So the address bears a secret, made anew at each start, which the first visit turns into a
cookie; no request is answered without it.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
#: What the secret is called in the address.
TOKEN: Final = "token"  # noqa: S105 - its name, not its value
_OTHER_NAME: Final = "localhost"
_HTTP_PORT: Final = 80


def _new_token() -> str:
    return secrets.token_urlsafe()


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules of one server, from its start to its end."""

    port: int
    _token: str = field(default_factory=_new_token, repr=False)

    @property
    def origin(self) -> str:
        """What all addresses of the dashboard begin with."""
        return f"http://{self._at(HOST)}"

    @property
    def address(self) -> str:
        """What to open. Whoever has it is let in, so it is for the person's eyes only."""
        return f"{self.origin}/?{TOKEN}={self._token}"

    @property
    def cookie(self) -> str:
        """A browser sends cookies to all ports of a host: another dashboard has another name."""
        return f"delta-dash-{self.port}"

    def is_from_here(self, headers: Mapping[str, str]) -> bool:
        """Whether a request names this server, and comes from no other site's page."""
        names = (self._at(HOST), self._at(_OTHER_NAME))
        return headers.get("Host") in names and headers.get("Origin", self.origin) == self.origin

    def has_other_name(self, headers: Mapping[str, str]) -> bool:
        """Whether it names the server `localhost`.

        No cookie is given for that name: another user may listen at its IPv6 address.
        """
        return headers.get("Host") == self._at(_OTHER_NAME)

    def lets_in(self, secret: str | None) -> bool:
        """Whether this is the secret, from an address or from a cookie; it takes equally long."""
        given = (secret or "").encode(errors="backslashreplace")
        return hmac.compare_digest(given, self._token.encode())

    def _at(self, name: str) -> str:
        return name if self.port == _HTTP_PORT else f"{name}:{self.port}"

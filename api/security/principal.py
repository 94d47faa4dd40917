"""Who a token speaks for."""

from dataclasses import dataclass
from typing import Self

from api.security.errors import missing_scope, other_channel
from data_contracts.vocabulary import Channel, Scope


@dataclass(frozen=True)
class Principal:
    """`client` is the application, `channel` the only one it may ask for (None: any).

    `certificate` is the SHA-256 thumbprint, base64url, of the one client certificate that may present the token.
    """

    client: str
    scopes: frozenset[str]
    channel: Channel | None = None
    certificate: str | None = None
    expires: float = float("inf")  # seconds since 1970
    begins: float = 0.0

    @classmethod
    def anybody(cls) -> Self:
        """Who asks where tokens are off."""
        return cls(client="anybody", scopes=frozenset(Scope))

    def refuse_without(self, scope: Scope) -> None:
        """Raises Refused (403) when the token lacks a scope."""
        if scope not in self.scopes:
            raise missing_scope(scope)

    def refuse_other_channel(self, channel: str) -> None:
        """Raises Refused (403) when the token is bound to another channel. For routes that name one in their body."""
        if self.channel is not None and channel != self.channel:
            raise other_channel(self.channel)

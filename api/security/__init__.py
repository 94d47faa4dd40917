"""Who may ask: OAuth2 bearer tokens, from the header of a request to a `Principal` with scopes.

- `principal`: who a token speaks for; `claims` makes one of a token's claims, pure
- `keys`: the issuer's public keys (JWKS), by URL or file, cached and rotated
- `verifier`: a token's signature and claims, remembered for as long as it holds
- `guard`: what routes (`requires`) and gRPC (`Guard.admit`) ask; `errors` is how it refuses

Belongs here: who somebody is and what they may call. Does not: how often (`api.limits`), or what may be shown.
"""

from api.security.errors import Refused as Refused
from api.security.guard import Guard as Guard
from api.security.guard import admitted as admitted
from api.security.guard import count_users as count_users
from api.security.guard import known as known
from api.security.guard import requires as requires
from api.security.principal import Principal as Principal
from data_contracts.vocabulary import Scope as Scope

"""Who may ask: what an attacker would show in place of a token, and what the issuer's keys may do meanwhile."""

import asyncio
import base64
import json
import math
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from api.app import create_app
from api.security.errors import Refused
from api.security.guard import Guard, thumbprint
from api.security.keys import Keys, parsed
from data_contracts.errors import InputError, UnavailableError
from data_contracts.settings import Settings
from data_contracts.vocabulary import Channel, Scope
from infra.tokens import ensure_issuer, issue, own_token, rotate_key
from tests.day_world import NOW, FakeStore

URL, ASKED = "/api/v1/recommendations", {"user_id": "1", "channel": "web"}
READ = Scope.RECOMMENDATIONS_READ
TIME = NOW.timestamp()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    one = Settings(data_dir=tmp_path, auth="on", pointer_poll_seconds=3_600, lookup_deadline_ms=5_000)
    ensure_issuer(one)
    return one


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, store=FakeStore(), clock=lambda: NOW)) as running:
        yield running


def signing_key(settings: Settings) -> ECKey:
    return ECKey.import_key(orjson.loads((settings.issuer_dir / "signing.json").read_bytes()))


def forged(settings: Settings, *, header: dict | None = None, key: Any = None, **claims: Any) -> str:
    """A token of the issuer but for what is given; a claim None is left out."""
    own = signing_key(settings)
    full = {"iss": "recs-local", "aud": "recs", "sub": "app", "scope": READ, "exp": int(TIME + 60), **claims}
    given = {name: value for name, value in full.items() if value is not None}
    algorithm = {"alg": "ES256", "kid": own.kid, **(header or {})}
    return jwt.encode(algorithm, given, key or own, algorithms=["ES256", "RS256", "HS256"])


def asked(client: TestClient, token: str | None, **params: str) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.get(URL, params={**ASKED, **params}, headers=headers)


def test_a_token_with_the_scope_is_answered(client: TestClient, settings: Settings) -> None:
    token = issue(settings, scopes=[READ], client="app", seconds=60, now=TIME)
    assert asked(client, token).status_code == 200
    assert asked(client, token).status_code == 200  # and again, from what is remembered


def test_without_a_token_the_challenge_says_only_that_one_is_needed(client: TestClient) -> None:
    response = asked(client, None)
    assert (response.status_code, response.headers["content-type"]) == (401, "application/problem+json")
    assert response.headers["www-authenticate"] == 'Bearer realm="recs"'
    assert response.json()["detail"] == "a bearer token is needed"


def _public_as_secret(settings: Settings) -> str:
    """HS/RS confusion: the public key, which anybody has, as the secret of a symmetric signature."""
    own = signing_key(settings)
    header = {"alg": "HS256", "kid": own.kid}
    claims = {"iss": "recs-local", "aud": "recs", "sub": "app", "scope": READ, "exp": int(TIME + 60)}
    return jwt.encode(header, claims, OctKey.import_key(base64.b64encode(own.as_pem(False))), algorithms=["HS256"])


def _unsigned(settings: Settings, algorithm: str = "none") -> str:
    _, claims, _ = forged(settings).split(".")
    header = json.dumps({"alg": algorithm, "kid": signing_key(settings).kid}).encode()
    return f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{claims}."


def _with_other_claims(settings: Settings) -> str:
    """The signature of one token on the claims of another."""
    head, _, signature = forged(settings).split(".")
    _, claims, _ = forged(settings, scope="recommendations:read rules:write").split(".")
    return ".".join((head, claims, signature))


Forgery = Callable[[Settings], str]
FORGERIES: dict[str, Forgery] = {
    "expired": lambda s: forged(s, exp=int(TIME - 31)),
    "without expiry": lambda s: forged(s, exp=None),
    "expiring at NaN": lambda s: forged(s, exp=math.nan),
    "never expiring": lambda s: forged(s, exp=math.inf),
    "expiry as text": lambda s: forged(s, exp="9999999999"),
    "expiry true": lambda s: forged(s, exp=True),
    "not yet": lambda s: forged(s, nbf=int(TIME + 31)),
    "of another issuer": lambda s: forged(s, iss="https://elsewhere.example"),
    "without issuer": lambda s: forged(s, iss=None),
    "for another audience": lambda s: forged(s, aud="another"),
    "for other audiences": lambda s: forged(s, aud=["another", 7]),
    "without audience": lambda s: forged(s, aud=None),
    "of nobody": lambda s: forged(s, sub=None),
    "for another use": lambda s: forged(s, header={"typ": "logout+jwt"}),
    "bound to an unknown channel": lambda s: forged(s, channel="fax"),
    "bound in an unknown way": lambda s: forged(s, cnf={"jkt": "x"}),
    "alg none": _unsigned,
    "alg NONE": lambda s: _unsigned(s, "NONE"),
    "alg empty": lambda s: _unsigned(s, ""),
    "public key as secret": _public_as_secret,
    "somebody's own key under our kid": lambda s: forged(s, key=ECKey.generate_key("P-256")),
    "an unknown kid": lambda s: forged(s, header={"kid": "of-nobody"}),
    "kid as a path": lambda s: forged(s, header={"kid": "../../../../dev/null"}),
    "an RSA key under our kid": lambda s: forged(s, header={"alg": "RS256"}, key=RSAKey.generate_key(2048)),
    "a key of its own in the header": lambda s: forged(
        s, header={"jwk": {"kty": "oct", "k": "AA"}}, key=ECKey.generate_key("P-256")
    ),
    "claims exchanged": _with_other_claims,
    "cut short": lambda s: forged(s)[:-5],
    "not a JWT": lambda s: "secret",
    "dots": lambda s: "..",
    "five parts": lambda s: "a.b.c.d.e",
    "deep header": lambda s: base64.urlsafe_b64encode(b'{"a":' * 3_000).rstrip(b"=").decode() + ".e30.e30",
    "too long": lambda s: forged(s, padding="x" * 9_000),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_no_token_of_ours_is_refused(client: TestClient, settings: Settings, name: str) -> None:
    token = FORGERIES[name](settings)
    response = asked(client, token)
    assert response.status_code == 401, response.text
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert token not in response.text


def test_only_one_authorization_that_is_a_bearer_token_is_taken(client: TestClient, settings: Settings) -> None:
    token = issue(settings, scopes=[READ], client="app", seconds=60, now=TIME)
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert client.get(URL, params=ASKED, headers=twice).status_code == 401
    assert client.get(URL, params=ASKED, headers={"Authorization": f"Basic {token}"}).status_code == 401
    assert client.get(URL, params={**ASKED, "access_token": token}).status_code == 401


def test_a_missing_scope_is_named(client: TestClient, settings: Settings) -> None:
    response = asked(client, issue(settings, scopes=[Scope.FEEDBACK_WRITE], client="app", seconds=60, now=TIME))
    assert response.status_code == 403
    assert 'scope="recommendations:read"' in response.headers["www-authenticate"]
    lookalike = forged(settings, scope="recommendations:read:not xrecommendations:read")
    assert asked(client, lookalike).status_code == 403


def test_a_token_bound_to_a_channel_asks_for_no_other(client: TestClient, settings: Settings) -> None:
    token = issue(settings, scopes=[READ], client="app", channel=Channel.CRM, seconds=60, now=TIME)
    assert asked(client, token, channel="crm").status_code == 200
    assert asked(client, token, channel="web").status_code == 403


def test_a_token_bound_to_a_channel_tells_of_no_answer_of_another(client: TestClient, settings: Settings) -> None:
    scopes = [READ, Scope.FEEDBACK_WRITE]
    anywhere, crm = (
        {"Authorization": f"Bearer {issue(settings, scopes=scopes, client='a', channel=one, seconds=60, now=TIME)}"}
        for one in (None, Channel.CRM)
    )
    told = {"user_id": "1", "event_type": "click", "timestamp": NOW.isoformat()}
    for channel, status in (("crm", 202), ("web", 403)):
        answer = client.get(URL, params={**ASKED, "channel": channel}, headers=anywhere).json()
        body = {**told, "rec_id": answer["rec_id"]}
        assert client.post(f"{URL}/feedback", json=body, headers=crm).status_code == status
    # What is forged is not told which channel it should have been of.
    assert client.post(f"{URL}/feedback", json={**body, "user_id": "2"}, headers=crm).status_code == 422


def test_every_call_but_those_of_operations_needs_a_token(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in {"/healthz", "/readyz", "/metrics"}:
                assert "security" not in operation
            else:
                assert client.request(method, path.replace("{", "").replace("}", "")).status_code == 401, path
                assert {"401", "403"} <= operation["responses"].keys()


def test_a_remembered_token_still_expires(settings: Settings) -> None:
    now = [NOW]

    async def scene() -> None:
        guard = Guard.of(settings, clock=lambda: now[0])
        header = [f"Bearer {issue(settings, scopes=[READ], client='app', seconds=60, now=TIME)}"]
        assert (await guard.admit(header, READ)).client == "app"
        now[0] = NOW.fromtimestamp(TIME + 91, NOW.tzinfo)
        with pytest.raises(Refused, match="expired"):
            await guard.admit(header, READ)

    asyncio.run(scene())


def test_a_bound_token_is_worth_nothing_without_its_certificate(settings: Settings) -> None:
    async def scene() -> None:
        guard = Guard.of(settings, clock=lambda: NOW)
        header = [f"Bearer {forged(settings, cnf={'x5t#S256': thumbprint(b'theirs')})}"]
        assert (await guard.admit(header, READ, certificate=b"theirs")).client == "app"
        for stolen in (None, b"another"):
            with pytest.raises(Refused, match="certificate"):
                await guard.admit(header, READ, certificate=stolen)

    asyncio.run(scene())


def test_a_rotated_key_is_found_and_a_withdrawn_or_replaced_one_forgotten(settings: Settings) -> None:
    async def scene() -> None:
        clock = [0.0]
        document = settings.issuer_dir / "jwks.json"
        keys = Keys(str(document), refresh_seconds=100, again_seconds=5, monotonic=lambda: clock[0])
        guard = Guard.of(settings, clock=lambda: NOW)
        assert guard._verifier is not None
        guard._verifier.keys = keys
        await guard.start()
        old = [f"Bearer {issue(settings, scopes=[READ], client='old', seconds=60, now=TIME)}"]
        assert (await guard.admit(old, READ)).client == "old"
        rotate_key(settings)
        new = [f"Bearer {issue(settings, scopes=[READ], client='new', seconds=60, now=TIME)}"]
        with pytest.raises(Refused):  # a look was only just made
            await guard.admit(new, READ)
        clock[0] += 6
        assert (await guard.admit(new, READ)).client == "new"
        assert (await guard.admit(old, READ)).client == "old"
        # The issuer gives the old name to another key: what the old one signed holds no longer, remembered or not.
        entries = orjson.loads(document.read_bytes())["keys"]
        replaced = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": entries[0]["kid"]}
        document.write_bytes(orjson.dumps({"keys": [replaced, entries[1]]}))
        clock[0] += 101
        await guard.admit(new, READ)  # starts a look behind its back
        for _ in range(100):
            await asyncio.sleep(0.01)
            if keys.version == 3:
                break
        with pytest.raises(Refused):
            await guard.admit(old, READ)
        assert (await guard.admit(new, READ)).client == "new"

    asyncio.run(scene())


def test_unknown_kids_ask_the_issuer_once_in_a_while_and_its_absence_takes_no_key_away(settings: Settings) -> None:
    document = (settings.issuer_dir / "jwks.json").read_bytes()
    kid = orjson.loads(document)["keys"][0]["kid"]
    clock, reads, is_away = [0.0], [0], [False]

    def read(source: str) -> bytes:
        reads[0] += 1
        if is_away[0]:
            raise UnavailableError("away")
        return document

    async def scene() -> None:
        keys = Keys("https://bank", refresh_seconds=100, again_seconds=5, read=read, monotonic=lambda: clock[0])
        is_away[0] = True
        with pytest.raises(Refused) as none_yet:
            await keys.key(kid)
        assert (none_yet.value.status, none_yet.value.headers["Retry-After"]) == (503, "5")
        is_away[0] = False
        clock[0] += 5
        found = await asyncio.gather(*(keys.key(kid) for _ in range(20)))
        assert all(found)
        assert reads[0] == 2
        assert await asyncio.gather(*(keys.key(f"unknown-{n}") for n in range(50))) == [None] * 50
        assert reads[0] == 2
        clock[0] += 5
        is_away[0] = True
        assert await asyncio.gather(*(keys.key(f"unknown-{n}") for n in range(50))) == [None] * 50
        assert reads[0] == 3
        assert await keys.key(kid) is not None

    asyncio.run(scene())


@pytest.mark.filterwarnings("ignore:Key size")
def test_only_keys_that_can_verify_are_taken_from_a_set() -> None:
    good = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "good"}
    others = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {**RSAKey.generate_key(1024).as_dict(private=False), "kid": "short"},
        {**good, "kid": "for encryption", "use": "enc"},
        {"kty": "PQC", "kid": "of the future"},
        {"kty": "EC", "crv": "P-256", "kid": "broken"},
    ]
    found = parsed(orjson.dumps({"keys": [*others, good]}))
    assert list(found) == ["good"]
    assert not found["good"].is_private
    for broken in (b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [1]}', orjson.dumps({"keys": others})):
        with pytest.raises(InputError):
            parsed(broken)


def test_keys_that_anybody_on_the_way_could_replace_are_refused() -> None:
    with pytest.raises(InputError, match="https"):
        Keys("http://issuer.example/jwks", refresh_seconds=1, again_seconds=1)


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES256K"])
def test_no_setting_allows_a_signature_that_who_checks_it_can_make(algorithm: str) -> None:
    with pytest.raises(ValueError, match="oauth_algorithms"):
        Settings(oauth_algorithms=algorithm)  # type: ignore[arg-type]


def test_with_tokens_off_everybody_is_answered_and_the_log_shouts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    off = Settings(data_dir=tmp_path, auth="off", pointer_poll_seconds=3_600)
    with TestClient(create_app(off, store=FakeStore(), clock=lambda: NOW)) as running:
        assert asked(running, None).status_code == 200
    assert "EVERYBODY" in caplog.text


def test_tokens_are_on_unless_a_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECS_AUTH")
    assert Settings().auth == "on"


def test_the_private_key_is_its_owners_alone_and_is_not_published(settings: Settings) -> None:
    assert stat.S_IMODE((settings.issuer_dir / "signing.json").stat().st_mode) == 0o600
    assert all("d" not in key for key in orjson.loads((settings.issuer_dir / "jwks.json").read_bytes())["keys"])


def test_our_own_commands_show_the_given_token_else_one_of_the_local_issuer(settings: Settings) -> None:
    assert own_token(settings.model_copy(update={"token": Settings(token="given").token})) == "given"
    assert (own_token(settings) or "").count(".") == 2
    assert own_token(settings.model_copy(update={"oauth_jwks": "https://bank.example/jwks"})) is None
    with pytest.raises(InputError, match="RECS_OAUTH_JWKS"):
        issue(settings.model_copy(update={"oauth_jwks": "x"}), scopes=[READ], client="app", seconds=1)

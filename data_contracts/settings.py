"""One settings object, prefix `RECS_`. Entry points build it and pass it down; nobody else reads the environment."""

import os
from datetime import date, time
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from data_contracts.errors import InputError
from data_contracts.lockbox import Access, resolved
from data_contracts.night import Sources, Train
from data_contracts.rec_id import MOST_DAYS
from data_contracts.vocabulary import Domain, Variant


def _split_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


# Plain commas, not JSON: RECS_OFFER_DOMAINS=marketplace,offers
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]


def _without_password(url: str) -> str:
    """With the driver that is installed, which SQLAlchemy would not choose. Addresses are told in logs and reports."""
    if urlsplit(url).password is not None:
        raise ValueError("an address holds no password: give it by the setting or variable for it")
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


Database = Annotated[str, AfterValidator(_without_password)]
OfferDomains = Annotated[tuple[Domain, ...], NoDecode, BeforeValidator(_split_commas)]
Variants = Annotated[tuple[Variant, ...], NoDecode, BeforeValidator(_split_commas)]
# Asymmetric ones only: who can check a token must not be able to make one.
Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "Ed25519", "EdDSA"]
Algorithms = Annotated[tuple[Algorithm, ...], NoDecode, BeforeValidator(_split_commas)]


class Settings(BaseSettings):
    """Everything that may differ between two installations. Descriptions are what `recs settings` prints."""

    model_config = SettingsConfigDict(env_prefix="RECS_", env_file=".env", extra="ignore", frozen=True)

    # Places
    data_dir: Path = Field(Path(".local/data"), description="folder of the embedded stack: lake, ClickHouse, logs")
    lake: str | None = Field(None, description="URI of the lake; default <data_dir>/lake")
    s3_endpoint: str = Field(
        "https://storage.yandexcloud.net",
        description="Object Storage; what is not read by ClickHouse goes by AWS_ENDPOINT_URL, so set that one",
        validation_alias=AliasChoices("RECS_S3_ENDPOINT", "AWS_ENDPOINT_URL"),
    )
    clickhouse_url: str = Field(
        "http://localhost:8123",
        description="ClickHouse over HTTP",
        validation_alias=AliasChoices("RECS_CLICKHOUSE_URL", "CLICKHOUSE_URL"),
    )
    clickhouse_user: str = Field("default", description="ClickHouse user")
    clickhouse_password: SecretStr = Field(SecretStr(""), description="ClickHouse password")
    clickhouse_operator_user: str = Field(
        "", description="ClickHouse user for what operators decide through the API; default the service's own"
    )
    clickhouse_operator_password: SecretStr = Field(SecretStr(""), description="password of that user")
    clickhouse_database: str = Field("recs", description="ClickHouse database")
    clickhouse_ca_file: Path | None = Field(
        None, description="certificate of ClickHouse's authority, where its URL is https; default the machine's"
    )
    clickhouse_cluster: str = Field(
        "",
        pattern=r"^(\{\w+\}|[\w.-]*)$",
        description="its cluster's name or macro, such as {cluster}: tables are made on all replicas, and replicate",
    )
    clickhouse_replicas: Texts = Field(
        (), description="URLs of all its replicas, comma separated: each is verified before the pointer moves"
    )
    api_port: int = Field(8080, ge=1, le=65535, description="port of the look-up API")
    api_url: str | None = Field(None, description="API that our own commands ask; default this machine's, at its port")
    dagster_port: int = Field(3000, ge=1, le=65535, description="port of the Dagster UI")

    # Sources of the night; each may be absent
    tecd: str | None = Field(None, description="URI of T-ECD in its published layout")
    dwh: str | None = Field(None, description="URI of the DWH exports")
    events: str | None = Field(None, description="URI of the landed bank events")
    reference: str | None = Field(None, description="URI of the catalogue, rules and reasons")

    # Events
    kafka_bootstrap: str = Field("localhost:9092", description="Kafka brokers, host:port, comma separated")
    kafka_user: str = Field("", description="Kafka user, by SASL over TLS; none: plain connections")
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(
        "SCRAM-SHA-512", description="how Kafka is shown the user's password"
    )
    kafka_password: SecretStr = Field(SecretStr(""), description="Kafka password")
    kafka_ca_file: Path | None = Field(None, description="certificate of Kafka's authority; default the machine's")
    kafka_group: str = Field("recs-land", min_length=1, description="consumer group of `recs land`")
    overlay_group: str = Field("recs-overlay", min_length=1, description="consumer group of `recs overlay`")
    overlay_batch_events: int = Field(5_000, ge=1, description="events after which `recs overlay` stores what it has")
    overlay_flush_seconds: float = Field(0.2, gt=0, le=60, description="seconds after which it does, however few")
    kafka_session_seconds: float = Field(
        45, ge=1, le=600, description="silence after which a consumer is taken for dead and its partitions move on"
    )
    schema_registry_url: str | None = Field(
        None, description="Confluent-compatible schema registry; without one, the schemas of data_contracts/events"
    )
    schema_registry_auth: SecretStr = Field(SecretStr(""), description="user:password of the schema registry")
    late_event_days: int = Field(7, ge=0, le=365, description="days an event may be late and still land in its day")
    clock_skew_seconds: int = Field(300, ge=0, description="how far ahead of its arrival an event may claim to be")
    landing_batch_events: int = Field(50_000, ge=1, description="events after which `recs land` writes files")
    landing_flush_seconds: float = Field(60, gt=0, description="seconds after which it writes what it has")
    landed_days: int = Field(400, ge=30, description="days that a landed topic is kept of which no table is made")

    # Secrets: each of these settings that is one may be `lockbox:ID#key` instead
    lockbox_seconds: float = Field(60, gt=0, description="age at which a secret of Lockbox is read again")
    lockbox_endpoint: str | None = Field(None, description="API endpoint of the cloud; default the public one")
    lockbox_ca_file: Path | None = Field(None, description="certificate of its authority; default the public ones")
    lockbox_key_file: Path | None = Field(
        None, description="key of the service account that reads secrets, JSON; default the machine's own account"
    )
    lockbox_token: SecretStr = Field(SecretStr(""), description="IAM token instead, such as of a person, for hours")

    # Time
    timezone: str = Field("Europe/Moscow", description="the bank's time zone; date D means 00:00 of D there")
    tecd_day_zero: date = Field(date(2022, 8, 27), description="date of T-ECD's day 0")
    product_horizon_days: int = Field(30, ge=1, le=365, description="days of the future a product's score is about")
    offer_horizon_days: int = Field(1, ge=1, le=30, description="days of the future an offer's score is about")
    gap_hours: int = Field(12, ge=0, le=168, description="hours between a training as-of and its labels")

    # The night
    offer_domains: OfferDomains = Field(
        (Domain.OFFERS,), description="T-ECD domains whose items are offers, comma separated"
    )
    seed: int = Field(7, description="seed of everything random")
    spark_master: str = Field("local[2]", description="Spark master of the local runner")
    spark_driver_memory: str = Field("2g", description="memory of the local Spark driver")
    spark_java_options: str = Field(
        "-XX:TieredStopAtLevel=1",
        description="of the local driver; by default only the quick compiler, since a small night is mostly warm-up: "
        "leave it empty for nights of hours",
    )
    spark_runner: Literal["local", "dataproc"] = Field("local", description="where Spark jobs run")
    dataproc: Path | None = Field(None, description="file that describes the cluster of the runner dataproc, YAML")
    dataproc_token: SecretStr = Field(
        SecretStr(""), description="IAM token for Data Proc; default that of the machine's service account"
    )
    core_hour_price: float | None = Field(
        None, gt=0, description="roubles that an hour of a core costs; with it, reports say what a night's steps cost"
    )
    max_retries: int = Field(2, ge=0, description="times a step is tried again after what may pass: busy, unavailable")
    retry_seconds: float = Field(
        10, gt=0, description="wait before the first retry; each later one waits twice as long"
    )
    keep_snapshots: int = Field(7, ge=2, description="snapshots that stay in ClickHouse")

    # Models
    mlflow_url: Database | None = Field(
        None, description="MLflow's server, or postgresql://user@host/name; default a SQLite registry in <data_dir>"
    )
    train: Train = Field("auto", description="whether a night trains: auto (by age and drift), always, never")
    train_every_days: int = Field(7, ge=1, description="days after which a night trains anew")

    dagster_database: Database | None = Field(
        None, description="Dagster's runs and events, postgresql://user@host:port/name; default SQLite in <data_dir>"
    )
    dagster_database_password: SecretStr = Field(SecretStr(""), description="password of that user")

    # Upkeep of the lake
    keep_lake_snapshots: int = Field(
        14, ge=2, description="finished snapshots whose folders stay in the lake; those in ClickHouse always do"
    )
    vacuum_hours: int = Field(168, ge=24, description="hours that old versions of tables stay readable")
    compact_files: int = Field(16, ge=2, description="files from which on a table's partition is compacted")

    # People
    identity_key: SecretStr = Field(
        SecretStr("development-only"),
        description="keys that hash client ids and erased ids, oldest first, comma separated; new ones at the end",
    )

    # Watching the night
    exports_due: time = Field(time(6), description="hour of the bank's day by which the exports must have arrived")
    alert_webhook_url: SecretStr | None = Field(
        None, description="where alerts are posted as JSON; without it they go to the log"
    )

    # The day
    pointer_poll_seconds: float = Field(0.25, gt=0, description="how often the API looks at the pointers")
    lookup_deadline_ms: int = Field(80, gt=0, description="longest wait for ClickHouse before the next tier answers")
    rec_id_key: SecretStr = Field(SecretStr("development-only"), description="key that signs rec_id")
    rec_id_days: int = Field(
        30,
        ge=1,
        le=MOST_DAYS,
        description="days an answer is good for: later feedback is flagged, it is no longer explained",
    )
    events_to: Literal["clickhouse", "kafka"] = Field(
        "clickhouse", description="where feedback and exposures go: straight into ClickHouse, or to Kafka's topics"
    )
    feedback: Literal["on", "off"] = Field(
        "on", description="whether feedback is taken here; off where no disk outlives the process: it is refused then"
    )
    operators: Literal["on", "off"] = Field(
        "on",
        description="whether operators' decisions are taken here (publish, roll back, block, propose, suppress); off "
        "where ClickHouse lets the service's user make none: they are refused then",
    )
    feedback_outbox_events: int = Field(
        1_000_000, ge=1, description="feedback that may wait on disk; beyond it the service answers 503"
    )
    idempotency_hours: float = Field(
        24,
        gt=0,
        description="hours for which an Idempotency-Key is refused with other feedback than it first came with",
    )
    exposures_outbox_events: int = Field(
        200_000, ge=1, description="exposures that may wait on disk; beyond it they are dropped, and counted"
    )
    grpc_port: int = Field(50051, ge=0, le=65535, description="port of the look-up over gRPC; 0: `recs up` starts none")
    grpc_metrics_port: int = Field(9464, ge=0, le=65535, description="port of its process' /metrics; 0: none")

    lists_cursor_hours: float = Field(24, gt=0, description="hours after its beginning that a pull of lists may go on")
    lists_chunk_users: int = Field(
        16_384, ge=1, le=1_000_000, description="users of a chunk: more cost less each, and take more memory"
    )
    exports: str | None = Field(
        None,
        description="folder or s3://bucket/folder that exports of lists are written to; default <data_dir>/exports",
    )
    backups: str | None = Field(
        None, description="folder or s3://bucket/folder of `recs backup`; default <data_dir>/backups"
    )
    exports_hold_days: float = Field(
        3, gt=0, le=30, description="days for which contacts of an export that is neither sent nor cancelled are held"
    )
    lists_pulls: int = Field(4, ge=1, description="pulls of lists at once; each takes a good part of a core")

    # Who may ask
    standing_exports: Path | None = Field(None, description="folder of YAML: exports that published nights make")
    auth: Literal["on", "off"] = Field("on", description="bearer tokens; off admits everybody who reaches the port")
    oauth_issuer: str = Field("recs-local", min_length=1, description="claim iss of tokens that are accepted")
    oauth_audience: str = Field("recs", min_length=1, description="claim aud of tokens that are accepted")
    oauth_jwks: str | None = Field(
        None, description="the issuer's public keys, https URL or file; default those of the local issuer in <data_dir>"
    )
    oauth_algorithms: Algorithms = Field(
        ("ES256", "PS256", "RS256"), min_length=1, description="signatures that are accepted, comma separated"
    )
    oauth_leeway_seconds: float = Field(30, ge=0, le=300, description="clocks that tokens' times may be wrong by")
    oauth_jwks_refresh_seconds: float = Field(300, gt=0, description="age at which the keys are read again")
    oauth_jwks_again_seconds: float = Field(
        5, gt=0, description="shortest time between two looks for a key that is not known"
    )
    token: SecretStr = Field(SecretStr(""), description="bearer token of `recs ask`; default one of the local issuer")

    api_host: str = Field("127.0.0.1", description="address that `python -m api` listens at")
    probe_port: int = Field(
        0, ge=0, le=65535, description="plain port of its /healthz and /readyz, for who has no certificate; 0: none"
    )
    grpc_probe_port: int = Field(
        0, ge=0, le=65535, description="plain port of the health of `python -m api.grpc`; 0: none"
    )
    tls_certificate: Path | None = Field(None, description="certificate of `python -m api`, PEM; default no TLS")
    tls_key: Path | None = Field(None, description="its private key, PEM")
    tls_client_ca: Path | None = Field(
        None, description="authority whose certificates clients must show (mTLS), PEM; default none"
    )

    # Limits
    client_rate: float = Field(5_000, ge=0, description="requests a second of one client, twice that at once; 0: any")
    user_rate: float = Field(100, ge=0, description="requests a second about one user, twice that at once; 0: any")
    max_concurrency: int = Field(100, ge=1, description="requests in progress at once, at most; more are an overload")
    queue_target_ms: int = Field(
        50, ge=1, description="time of a look-up here, ClickHouse's apart, beyond which fewer are let in at once"
    )
    overload: Literal["refuse", "static"] = Field(
        "refuse", description="those more: refused at once, or, up to four times as many, answered from memory"
    )
    max_body_bytes: int = Field(1_000_000, ge=1_000, description="largest body of a request")
    body_seconds: float = Field(10, gt=0, description="longest that a body may take to come")

    # Experiments
    experiments: Path | None = Field(
        None, description="folder of the experiments' YAML files; default the package's own, of which none runs"
    )
    outbound_variants: Variants = Field(
        (), description="variants of which everybody gets a list for outbound campaigns: uplift, challenger"
    )
    uplift_users: int = Field(
        500, ge=1, description="users of a campaign's smaller group, contacted or held out, from which uplift is learnt"
    )
    exploration_share: float = Field(
        0, ge=0, le=0.2, description="share of answers of which two neighbours change places, for off-policy estimates"
    )

    # Campaigns
    campaigns: Path | None = Field(None, description="folder of the campaigns' YAML files; default two examples")

    # When things are down
    breaker_failures: int = Field(5, ge=1, description="failed look-ups in a row after which ClickHouse is spared")
    breaker_retry_seconds: float = Field(0.5, gt=0, description="wait before the next trial of a spared ClickHouse")
    max_snapshot_age_days: float = Field(3, gt=0, description="age at which personal lists are no longer shown")

    # Watching the day
    log_format: Literal["auto", "json", "text"] = Field("auto", description="auto: text on a terminal, else JSON")

    otlp_endpoint: str | None = Field(
        None, description="where OpenTelemetry traces go, such as http://localhost:4318/v1/traces; default none"
    )
    trace_share: float = Field(0.05, ge=0, le=1, description="share of the traces that begin here which are kept")

    @model_validator(mode="after")
    def _with_secrets_of_lockbox(self) -> Self:
        for name, value in self.__dict__.items():
            if isinstance(value, SecretStr):
                self.__dict__[name] = resolved(value, self._lockbox_access)
        return self

    def secret(self, text: str) -> SecretStr:
        """What a setting of this text would be. Raises ValueError for a broken name of one in Lockbox."""
        return resolved(SecretStr(text), self._lockbox_access)

    def _lockbox_access(self) -> Access:
        return Access(
            endpoint=self.lockbox_endpoint,
            ca_file=self.lockbox_ca_file,
            key_file=self.lockbox_key_file,
            token=self.lockbox_token.get_secret_value(),
            seconds=self.lockbox_seconds,
        )

    @property
    def spark_cores(self) -> int:
        """Cores that the local runner's Spark takes."""
        inside = self.spark_master.partition("[")[2].rstrip("]")
        return int(inside) if inside.isdecimal() else (os.cpu_count() or 1) if inside == "*" else 1

    @property
    def signing_key(self) -> bytes:
        """Of rec_ids; what hides users in logs and copies is made with it too."""
        return self.rec_id_key.get_secret_value().encode()

    @property
    def issuer_dir(self) -> Path:
        """Where the local issuer keeps its keys."""
        return self.data_dir / "issuer"

    @property
    def jwks_uri(self) -> str:
        return self.oauth_jwks or str((self.issuer_dir / "jwks.json").absolute())

    @property
    def sources(self) -> Sources:
        """What a night reads. Raises InputError when nothing is named."""
        if not (self.tecd or self.dwh or self.events or self.reference):
            raise InputError("no source to read: set RECS_TECD, RECS_DWH, RECS_EVENTS or RECS_REFERENCE")
        return Sources(tecd=self.tecd, dwh=self.dwh, events=self.events, reference=self.reference)

    @property
    def lake_uri(self) -> str:
        return self.lake or str((self.data_dir / "lake").absolute())

    @property
    def exports_uri(self) -> str:
        return self.exports or str((self.data_dir / "exports").absolute())

    @property
    def backups_uri(self) -> str:
        return self.backups or str((self.data_dir / "backups").absolute())

    @property
    def registry_url(self) -> str:
        return self.mlflow_url or f"sqlite:///{(self.data_dir / 'mlflow.db').absolute()}"

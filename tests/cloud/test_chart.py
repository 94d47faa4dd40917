"""The chart as it renders for dev and prod: of Kubernetes' schema, and keeping what the service promises.

The renders are kept in infra/helm/golden (REGOLD=1 writes them anew), so that a change of the chart shows what it
changes, and is checked where Helm is not to be had.
"""

import functools
import json
import os
import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml
from jsonschema import Draft7Validator

from dagster_project.dataproc.plan import ClusterPlan
from dagster_project.storage import YAML as DATABASE
from data_contracts.settings import Settings
from infra.cli import app

ROOT = Path(__file__).parents[2]
HELM = ROOT / "infra" / "helm"
CHART, GOLDEN = HELM / "recs", HELM / "golden"
BOTH = pytest.mark.parametrize("name", ["dev", "prod"])
NEEDS_HELM = pytest.mark.skipif(
    shutil.which("helm") is None, reason="helm is not here (infra/setup.sh cloud builds it where Go is)"
)
SCHEMAS = ROOT / ".local" / "kubernetes-schemas"
NEEDS_KUBECONFORM = pytest.mark.skipif(
    shutil.which("kubeconform") is None or not SCHEMAS.is_dir(),
    reason="kubeconform is not here (infra/setup.sh cloud builds it where Go is)",
)
# Their schemas come with the operators that define them.
CUSTOM = {"Certificate", "ServiceMonitor", "PrometheusRule"}
Manifest = dict[str, Any]


@functools.cache
def manifests(name: str) -> list[Manifest]:
    return [one for one in yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8")) if one]


def of_kind(name: str, *kinds: str) -> list[Manifest]:
    return [one for one in manifests(name) if one["kind"] in kinds]


def the(name: str, kind: str, called: str) -> Manifest:
    [found] = [one for one in of_kind(name, kind) if one["metadata"]["name"] == called]
    return found


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False)


def render(name: str, *more: str) -> subprocess.CompletedProcess[str]:
    files = ["-f", str(CHART / f"values-{name}.yaml")]
    return helm("template", "recs", str(CHART), "--namespace", "recs", "--kube-version", "1.31", *files, *more)


@functools.cache
def kubernetes() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "kubernetes-1.31.json").read_text())
    return schema


def faults(manifest: Manifest) -> list[str]:
    schema = kubernetes()
    kind = schema["kinds"]["/".join((manifest["apiVersion"], manifest["kind"]))]
    root = {"$ref": f"#/$defs/{kind}", "$defs": schema["$defs"]}
    return [
        f"{'.'.join(map(str, one.path))}: {one.message[:200]}" for one in Draft7Validator(root).iter_errors(manifest)
    ]


@NEEDS_HELM
@BOTH
def test_the_kept_renders_are_what_the_chart_makes(name: str) -> None:
    made = render(name)
    assert made.returncode == 0, made.stderr
    kept = GOLDEN / f"{name}.yaml"
    if os.environ.get("REGOLD"):
        kept.write_text(made.stdout, encoding="utf-8")
    assert made.stdout == kept.read_text(encoding="utf-8"), "see what changed: REGOLD=1, then git diff"
    linted = helm("lint", "--strict", str(CHART), "-f", str(CHART / f"values-{name}.yaml"))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@NEEDS_HELM
@pytest.mark.parametrize(
    "wrong",
    [
        "lookup.replica=3",
        "secrets.rec_id_key=hunter2",
        "settings.rec_id_key=hunter2",
        "settings.clickhouse_password=hunter2",
        "lookup.replicas=none",
        "feedback.storage=much",
    ],
)
def test_values_that_are_misspelt_or_hold_a_secret_are_refused(wrong: str) -> None:
    made = render("prod", "--set", wrong)
    assert made.returncode != 0
    assert wrong.split("=", maxsplit=1)[0].split(".", maxsplit=1)[0] in made.stderr


def test_the_values_know_every_secret_among_the_settings() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
    secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    roles = ("lookup", "grpc", "feedback", "operators", "overlay", "land", "dagster", "backup")
    for given in (schema, *(schema[role]["properties"] for role in roles)):
        assert set(given["secrets"]["propertyNames"]["enum"]) == secrets
        assert set(given["settings"]["propertyNames"]["not"]["enum"]) == secrets


def conforms(text: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Kubernetes' own schemas of 1.31, as its API server would refuse what they do not know; nothing is downloaded."""
    where = f"{SCHEMAS}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    command = ["kubeconform", "-strict", "-summary", "-output", "json", "-schema-location", where, *more]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@NEEDS_KUBECONFORM
@BOTH
def test_kubeconform_finds_every_manifest_valid_but_for_the_kinds_of_operators(name: str) -> None:
    seen = conforms((GOLDEN / f"{name}.yaml").read_text(encoding="utf-8"), "-skip", ",".join(CUSTOM))
    assert seen.returncode == 0, seen.stdout
    custom = len([one for one in manifests(name) if one["kind"] in CUSTOM])
    assert json.loads(seen.stdout)["summary"] == {
        "valid": len(manifests(name)) - custom,
        "invalid": 0,
        "errors": 0,
        "skipped": custom,
    }


@NEEDS_KUBECONFORM
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("readinessProbe:", "readinesProbe:"),
        ("minReplicas: 6", "minReplicas: six"),
        ("concurrencyPolicy: Forbid", "concurrentPolicy: Forbid"),
    ],
)
def test_kubeconform_refuses_a_field_that_is_planted_wrong(right: str, wrong: str) -> None:
    text = (GOLDEN / "prod.yaml").read_text(encoding="utf-8")
    seen = conforms(text.replace(right, wrong, 1), "-skip", ",".join(CUSTOM))
    assert right in text and seen.returncode != 0
    assert json.loads(seen.stdout)["summary"]["invalid"] == 1


@BOTH
def test_every_manifest_is_of_kubernetes_schema(name: str) -> None:
    for one in manifests(name):
        if one["kind"] not in CUSTOM:
            assert faults(one) == [], one["metadata"]["name"]


def test_the_schema_finds_what_is_misspelt() -> None:
    wrong = json.loads(json.dumps(the("prod", "Deployment", "recs-lookup")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    wrong["spec"]["strategy"]["rollingUpdate"] = "slowly"
    assert len(faults(wrong)) == 2


def spec_with_pods(one: Manifest) -> Manifest:
    spec: Manifest = one["spec"]["jobTemplate"]["spec"] if one["kind"] == "CronJob" else one["spec"]
    return spec


@BOTH
def test_no_pod_has_rights_and_every_one_is_spread(name: str) -> None:
    for one in of_kind(name, "Deployment", "StatefulSet", "CronJob"):
        pod = spec_with_pods(one)["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
        assert len(pod["topologySpreadConstraints"]) == 2
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])}
        for container in pod["containers"]:
            held = container["securityContext"]
            assert held["readOnlyRootFilesystem"] and held["capabilities"] == {"drop": ["ALL"]}
            assert held["allowPrivilegeEscalation"] is False
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert not container["image"].endswith(":latest")


@BOTH
def test_what_feedback_was_accepted_outlives_its_pod_and_nothing_else_needs_a_disk(name: str) -> None:
    [claim] = the(name, "StatefulSet", "recs-feedback")["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "data"
    retained = the(name, "StatefulSet", "recs-feedback")["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert retained == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    for role in ("lookup", "grpc", "overlay", "land"):
        pod = the(name, "Deployment", f"recs-{role}")["spec"]["template"]["spec"]
        assert {"name": "data", "emptyDir": {}} in pod["volumes"]


@BOTH
def test_a_rollout_takes_nobody_away_and_drains_before_it_ends(name: str) -> None:
    for role in ("lookup", "grpc"):
        spec = the(name, "Deployment", f"recs-{role}")["spec"]
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert "replicas" not in spec, "an upgrade would undo what the autoscaler decided"
        pod = spec["template"]["spec"]
        drain = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        # gRPC gives calls in progress 5 s, uvicorn as long as they take.
        assert 5 <= drain < pod["terminationGracePeriodSeconds"] - 10


@BOTH
def test_probes_ask_at_plain_ports_that_the_settings_open_and_no_policy_does(name: str) -> None:
    settings = the(name, "ConfigMap", "recs-settings")["data"]
    rest, grpc = the(name, "StatefulSet", "recs-feedback")["spec"]["template"]["spec"]["containers"]
    assert rest["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "probes"}
    assert rest["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "probes"}
    assert {"name": "probes", "containerPort": int(settings["RECS_PROBE_PORT"])} in rest["ports"]
    assert grpc["livenessProbe"]["grpc"] == grpc["readinessProbe"]["grpc"]
    assert grpc["readinessProbe"]["grpc"]["port"] == int(settings["RECS_GRPC_PROBE_PORT"])
    opened = [
        port["port"] for rule in the(name, "NetworkPolicy", "recs-asked")["spec"]["ingress"] for port in rule["ports"]
    ]
    assert set(opened) == {8080, 50051, 9464}


@BOTH
def test_who_has_no_disk_takes_no_feedback(name: str) -> None:
    refused = {"name": "RECS_FEEDBACK", "value": "off"}
    for kind, role, takes in (
        ("Deployment", "lookup", False),
        ("Deployment", "grpc", False),
        ("StatefulSet", "feedback", True),
    ):
        for container in the(name, kind, f"recs-{role}")["spec"]["template"]["spec"]["containers"]:
            assert (refused in container.get("env", [])) is not takes


def test_decisions_are_taken_by_the_operators_service_alone_where_there_is_one() -> None:
    for name, elsewhere in (("prod", {"lookup", "grpc", "feedback"}), ("dev", set[str]())):
        taken = {pod: told.get("RECS_OPERATORS", "on") for pod, told in variables_of(name).items()}
        assert {pod for pod, value in taken.items() if value == "off"} == {f"recs-{role}" for role in elsewhere}
    hosts = {one["metadata"]["name"]: one["spec"]["rules"][0]["host"] for one in of_kind("prod", "Ingress")}
    assert hosts["recs-operators"] in the("prod", "Certificate", "recs-tls")["spec"]["dnsNames"]


def test_every_role_of_prod_has_keys_of_its_own_and_mlflow_none_of_lockbox() -> None:
    keys = {}
    for one in of_kind("prod", "Deployment", "StatefulSet"):
        pod = one["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        stored = {source["secretRef"]["name"] for box in pod["containers"] for source in box["envFrom"][1:]}
        lockbox = volumes["lockbox"]["secret"]["secretName"] if "lockbox" in volumes else ""
        keys[one["metadata"]["name"]] = (lockbox, *stored)
    look_up = ("recs-lockbox-look-up", "recs-storage-look-up")
    writers = ("recs-lockbox-writers", "recs-storage-writers")
    assert keys == {
        **{f"recs-{role}": look_up for role in ("lookup", "grpc", "feedback")},
        **{f"recs-{role}": writers for role in ("overlay", "land")},
        "recs-operators": ("recs-lockbox-operators", "recs-storage-operators"),
        "recs-dagster": ("recs-lockbox-night", "recs-storage-night"),
        "recs-mlflow": ("", "recs-storage-night"),
    }


@BOTH
def test_every_setting_exists_and_no_secret_is_in_a_manifest(name: str) -> None:
    told = [*the(name, "ConfigMap", "recs-settings")["data"].items()]
    for one in of_kind(name, "Deployment", "StatefulSet", "CronJob"):
        for container in spec_with_pods(one)["template"]["spec"]["containers"]:
            told += [(own["name"], own["value"]) for own in container.get("env", []) if own["name"].startswith("RECS_")]
    for variable, value in told:
        field = variable.removeprefix("RECS_").lower()
        assert field in Settings.model_fields, variable
        if "SecretStr" in str(Settings.model_fields[field].annotation):
            assert value.startswith("lockbox:"), variable
    assert of_kind(name, "Secret") == []


def test_services_and_budgets_select_the_pods_of_their_role_alone() -> None:
    roles = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind("prod", "Deployment", "StatefulSet")
    }
    for one in of_kind("prod", "Service", "PodDisruptionBudget"):
        selector = one["spec"]["selector"].get("matchLabels", one["spec"]["selector"])
        assert [role for role, labels in roles.items() if selector.items() <= labels.items()] == [
            one["metadata"]["name"]
        ]
    for scaler in of_kind("prod", "HorizontalPodAutoscaler"):
        assert scaler["spec"]["scaleTargetRef"]["name"] in roles
        assert scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]


def test_nobody_is_reached_but_through_a_policy() -> None:
    closed = the("prod", "NetworkPolicy", "recs-closed")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in closed
    for one in of_kind("prod", "Deployment", "StatefulSet"):
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert closed["podSelector"]["matchLabels"].items() <= labels.items()
    asked = the("prod", "NetworkPolicy", "recs-asked")["spec"]["ingress"]
    assert all(rule["from"] and rule["ports"] for rule in asked)


def test_prod_has_mutual_tls_monitoring_and_a_cluster_for_spark() -> None:
    settings = the("prod", "ConfigMap", "recs-settings")["data"]
    certificate = the("prod", "Certificate", "recs-tls")["spec"]
    mounted = the("prod", "Deployment", "recs-lookup")["spec"]["template"]["spec"]["volumes"]
    assert certificate["secretName"] in {volume["secret"]["secretName"] for volume in mounted if "secret" in volume}
    assert {"server auth", "client auth"} == set(certificate["usages"])
    assert settings["RECS_TLS_CLIENT_CA"] == "/etc/recs/tls/ca.crt"
    groups = the("prod", "PrometheusRule", "recs-rules")["spec"]["groups"]
    assert groups == yaml.safe_load((ROOT / "infra" / "monitoring" / "rules.yaml").read_text())["groups"]
    plan = the("prod", "ConfigMap", "recs-dagster")["data"]["dataproc.yaml"]
    assert ClusterPlan.model_validate(yaml.safe_load(plan)).bucket == "recs-prod-dataproc"


def variables_of(name: str) -> dict[str, dict[str, str]]:
    """Each pod's RECS_ variables, its own before those that all have."""
    common = the(name, "ConfigMap", "recs-settings")["data"]
    return {
        one["metadata"]["name"]: common
        | {own["name"]: own["value"] for own in container.get("env", []) if "value" in own}
        for one in of_kind(name, "Deployment", "StatefulSet")
        for container in one["spec"]["template"]["spec"]["containers"]
    }


def test_prod_logs_in_as_users_whom_the_grants_make() -> None:
    told_users = {pod: told.get("RECS_CLICKHOUSE_USER") for pod, told in variables_of("prod").items()}
    users = {pod: user for pod, user in told_users.items() if user}
    assert set(told_users) - set(users) == {"recs-mlflow"}
    made = {
        user
        for path in (ROOT / "sql" / "grants").glob("*.sql")
        for user in re.findall(r"CREATE USER IF NOT EXISTS (\w+)", path.read_text(encoding="utf-8"))
    }
    assert set(users.values()) <= made
    assert (users["recs-dagster"], users["recs-overlay"]) == ("recs_load", "recs_overlay")
    assert {users[f"recs-{role}"] for role in ("lookup", "grpc", "feedback", "operators")} == {"recs_look_up"}
    deciding = {pod: told.get("RECS_CLICKHOUSE_OPERATOR_USER") for pod, told in variables_of("prod").items()}
    assert {pod for pod, user in deciding.items() if user} == {"recs-operators"}
    assert deciding["recs-operators"] in made


def test_prod_makes_its_tables_on_every_host_that_terraform_makes_and_verifies_each() -> None:
    main = (ROOT / "infra" / "terraform" / "examples" / "prod" / "main.tf").read_text(encoding="utf-8")
    zones = re.findall(r'"ru-central1-\w" = "', main)
    for told in variables_of("prod").values():
        settings = Settings(
            clickhouse_cluster=told["RECS_CLICKHOUSE_CLUSTER"], clickhouse_replicas=told["RECS_CLICKHOUSE_REPLICAS"]
        )
        assert settings.clickhouse_cluster == "{cluster}", "the macro of Managed ClickHouse"
        assert len(set(settings.clickhouse_replicas)) == len(zones) == 3
        assert all(
            urlsplit(url).scheme == "https" and urlsplit(url).port == 8443 for url in settings.clickhouse_replicas
        )


def test_prod_trusts_the_clouds_authority_where_its_certificate_is_mounted() -> None:
    told = the("prod", "ConfigMap", "recs-settings")["data"]
    assert told["RECS_CLICKHOUSE_CA_FILE"] == told["RECS_KAFKA_CA_FILE"] == "/etc/recs/ca/ca.crt"
    for one in of_kind("prod", "Deployment", "StatefulSet"):
        pod = one["spec"]["template"]["spec"]
        assert {"name": "ca", "configMap": {"name": "recs-ca"}} in pod["volumes"]
        for container in pod["containers"]:
            assert {"name": "ca", "mountPath": "/etc/recs/ca", "readOnly": True} in container["volumeMounts"]


def test_spark_outside_the_cluster_reaches_mlflow_by_an_internal_balancer() -> None:
    service = the("prod", "Service", "recs-mlflow")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"]["yandex.cloud/load-balancer-type"] == "internal"
    url = urlsplit(the("prod", "ConfigMap", "recs-settings")["data"]["RECS_MLFLOW_URL"])
    assert (url.hostname, url.port) == (service["spec"]["loadBalancerIP"], service["spec"]["ports"][0]["port"])
    policy = the("prod", "NetworkPolicy", "recs-models")["spec"]
    pod = the("prod", "Deployment", "recs-mlflow")["spec"]["template"]
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    [asked] = policy["ingress"]
    assert asked["ports"] == [{"port": url.port, "protocol": "TCP"}]
    blocks = [ip_network(one["ipBlock"]["cidr"]) for one in asked["from"]]
    assert any(ip_address(url.hostname or "") in block for block in blocks), "the subnets, where Spark's hosts are too"
    out = the("prod", "NetworkPolicy", "recs-closed")["spec"]["egress"]
    assert any(port["port"] == url.port for rule in out for port in rule.get("ports", [])), "Dagster asks there too"


@BOTH
def test_only_one_process_writes_the_lake(name: str) -> None:
    dagster = the(name, "StatefulSet", "recs-dagster")["spec"]
    assert dagster["replicas"] == 1
    written = the(name, "ConfigMap", "recs-dagster")["data"]["dagster.yaml"]
    embedded = (ROOT / "infra" / "local" / "dagster.yaml").read_text(encoding="utf-8")
    assert written == embedded + DATABASE, (
        "else `recs night` in that pod would write it anew, where nothing can be written"
    )


def test_prod_backs_up_as_the_night_every_hour_alone_and_keeps_days_and_weeks() -> None:
    job = the("prod", "CronJob", "recs-backup")["spec"]
    assert (job["schedule"].split()[1:], job["concurrencyPolicy"]) == (["*"] * 4, "Forbid")
    pod = spec_with_pods(the("prod", "CronJob", "recs-backup"))["template"]["spec"]
    [container] = pod["containers"]
    command = container["command"]
    assert command[:2] == ["recs", "backup"] and typer.main.get_command(app).commands["backup"]  # type: ignore[attr-defined]
    kept = {name: int(command[command.index(name) + 1]) for name in ("--keep", "--keep-days")}
    assert kept["--keep"] >= 24 and kept["--keep-days"] >= 30
    told = {own["name"]: own["value"] for own in container["env"]}
    night = variables_of("prod")["recs-dagster"]
    assert {name: night[name] for name in told} == told, "the night's user and keys"
    assert told["RECS_CLICKHOUSE_USER"] == "recs_load"
    common = the("prod", "ConfigMap", "recs-settings")["data"]
    assert common["RECS_MLFLOW_URL"] and common["RECS_BACKUPS"].startswith("s3://")


def test_the_alert_on_backups_looks_at_the_job_that_the_chart_makes() -> None:
    rules = yaml.safe_load((ROOT / "infra" / "monitoring" / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    [rule] = [one for group in rules for one in group["rules"] if one.get("alert") == "RecsBackupMissing"]
    [pattern] = set(re.findall(r'cronjob=~"([^"]+)"', rule["expr"]))
    assert re.fullmatch(pattern, the("prod", "CronJob", "recs-backup")["metadata"]["name"])

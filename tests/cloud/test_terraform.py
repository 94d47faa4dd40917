"""Terraform's files: formatted, of the provider's documented arguments, and wired to what is there.

The provider itself cannot be had here, so that `terraform validate` cannot be run: infra/terraform/provider.json holds
what its documentation says of the resources that are used.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from google.protobuf.json_format import ParseDict
from yandex.cloud.billing.v1.budget_pb2 import ResetPeriodType, ThresholdType
from yandex.cloud.billing.v1.budget_service_pb2 import CreateBudgetRequest

from dagster_project.dataproc.plan import ClusterPlan

TERRAFORM = Path(__file__).parents[2] / "infra" / "terraform"
PROVIDER = json.loads((TERRAFORM / "provider.json").read_text(encoding="utf-8"))
MODULES = TERRAFORM / "modules"
FOLDERS = sorted({path.parent for path in TERRAFORM.rglob("*.tf")})
EXAMPLES = [folder for folder in FOLDERS if folder.parent.name == "examples"]
EACH = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
EXAMPLE = pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
# Of every resource, whatever the provider.
_META = {"for_each", "count", "depends_on", "lifecycle", "provider", "dynamic", "__is_block__", "__comments__"}
Body = dict[str, Any]


@cache
def parsed(folder: Path) -> Body:
    """All files of a folder as one: kind -> its blocks."""
    together: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("*.tf")):
        for kind, blocks in hcl2.loads(path.read_text(encoding="utf-8")).items():
            together.setdefault(kind, []).extend(blocks)
    return together


def text(folder: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))


def labelled(folder: Path, kind: str) -> dict[str, Body]:
    return {name.strip('"'): body for block in parsed(folder).get(kind, []) for name, body in block.items()}


def resources(folder: Path) -> Iterator[tuple[str, str, Body]]:
    for block in parsed(folder).get("resource", []):
        for kind, named in block.items():
            for name, body in named.items():
                yield kind.strip('"'), name.strip('"'), body


def faults(body: Body, schema: Body, where: str) -> Iterator[str]:
    """What the documentation does not know, or misses."""
    dynamic = {name.strip('"'): made for one in body.get("dynamic", []) for name, made in one.items()}
    given = {name: value for name, value in body.items() if name not in _META}
    given |= {name: made["content"] for name, made in dynamic.items()}
    for name, value in given.items():
        known = schema.get(name)
        if known is None:
            yield f"{where}.{name}: the provider knows no such argument"
        elif (known if isinstance(known, str) else known[0]) == "ro":
            yield f"{where}.{name}: is read-only"
        elif not isinstance(known, str):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    yield from faults(one, known[1], f"{where}.{name}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{where}.{name}: takes no block"
    for name, known in schema.items():
        if (known if isinstance(known, str) else known[0]) == "req" and name not in given:
            yield f"{where}.{name}: is required"


@EACH
def test_resources_have_the_arguments_that_the_provider_documents(folder: Path) -> None:
    found = [
        fault
        for kind, name, body in resources(folder)
        for fault in faults(body, PROVIDER["resources"][kind], f"{kind}.{name}")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ('name = "a"\n  network = "n"', "network: the provider knows no such argument"),
        ('name = "a"', "network_id: is required"),
        ('network_id = "n"\n  status = "up"', "status: is read-only"),
        ('network_id = "n"\n  ingress {\n    prot = "TCP"\n  }', "ingress.prot: the provider knows no such argument"),
        ('network_id = "n"\n  ingress {\n    port = 1\n  }', "ingress.protocol: is required"),
    ],
)
def test_wrong_arguments_are_found(wrong: str, fault: str) -> None:
    body = hcl2.loads(f'resource "yandex_vpc_security_group" "a" {{\n  {wrong}\n}}\n')["resource"][0]
    [made] = next(iter(body.values())).values()
    assert fault in " ".join(faults(made, PROVIDER["resources"]["yandex_vpc_security_group"], "a"))


@EACH
def test_what_is_named_is_there(folder: Path) -> None:
    written = text(folder)
    assert set(re.findall(r"\bvar\.(\w+)", written)) == set(labelled(folder, "variable")), "each variable is used"
    made = {f"{kind}.{name}" for kind, name, _ in resources(folder)}
    named = set(re.findall(r"\b(yandex_\w+\.\w+)", written))
    assert named <= made, named - made
    for name, body in {**labelled(folder, "variable"), **labelled(folder, "output")}.items():
        assert body.get("description"), name


@EXAMPLE
def test_modules_are_given_what_they_ask_for_and_asked_for_what_they_have(folder: Path) -> None:
    modules = labelled(folder, "module")
    assert {path.name for path in (TERRAFORM / "modules").iterdir()} == set(modules)
    for name, body in modules.items():
        inside = (folder / body["source"].strip('"')).resolve()
        variables = labelled(inside, "variable")
        given = set(body) - {"source", "__is_block__", "__comments__"}
        assert given <= set(variables), f"{name}: {given - set(variables)}"
        asked = {one for one, about in variables.items() if "default" not in about}
        assert asked <= given, f"{name}: {asked - given}"
        used = set(re.findall(rf"\bmodule\.{name}\.(\w+)", text(folder)))
        assert used <= set(labelled(inside, "output")), name


@EXAMPLE
def test_the_state_is_remote_encrypted_and_locked(folder: Path) -> None:
    [backend] = [block["backend"] for block in parsed(folder)["terraform"]]
    [body] = [one['"s3"'] for one in backend]
    assert body["encrypt"] is True and body["dynamodb_table"]
    assert body["key"].strip('"') == f"recs/{folder.name}.tfstate"


@EXAMPLE
def test_what_data_proc_is_told_is_what_a_night_reads(folder: Path) -> None:
    told = labelled(folder, "output")["dataproc"]["value"]
    assert set(told) - {"__is_block__"} <= set(ClusterPlan.model_fields)
    assert {"folder_id", "bucket", "subnet_id", "service_account_id"} <= set(told)


def test_no_secret_is_in_the_files_or_would_be_in_the_state() -> None:
    for folder in FOLDERS:
        for kind, name, body in resources(folder):
            assert not {"password", "text_value", "entries", "access_key"} & set(body), f"{kind}.{name}"
            assert kind not in {"yandex_lockbox_secret_version", "yandex_iam_service_account_static_access_key"}


def test_rights_are_least_and_of_the_folder_alone() -> None:
    roles = set(re.findall(r'"([a-z0-9-]+\.[a-zA-Z.]+)"', text(TERRAFORM / "modules" / "identity")))
    assert roles and not roles & {"admin", "editor", "resource-manager.admin", "iam.admin"}
    written = "\n".join(text(folder) for folder in FOLDERS)
    assert not re.search(r'role\s*=\s*"(admin|editor|owner)"', written)
    assert "allUsers" not in written and "allAuthenticatedUsers" not in written


def readers() -> dict[str, set[str]]:
    """Secret -> the roles whose service accounts read it."""
    [told] = [body["readers"] for body in parsed(MODULES / "secrets")["locals"] if "readers" in body]
    return {name: {role.strip('"') for role in roles} for name, roles in told.items() if name != "__is_block__"}


def test_data_proc_reads_the_identity_key_and_no_other_secret() -> None:
    assert [secret for secret, roles in readers().items() if "dataproc" in roles] == ["identity"]
    members = [body for kind, _, body in resources(MODULES / "secrets") if kind == "yandex_lockbox_secret_iam_member"]
    assert [body["role"].strip('"') for body in members] == ["lockbox.payloadViewer"], "by that list and nothing else"


def test_each_role_of_the_chart_reads_by_a_key_of_its_own_the_secrets_that_it_names_and_no_others() -> None:
    values = yaml.safe_load((TERRAFORM.parent / "helm" / "recs" / "values-prod.yaml").read_text(encoding="utf-8"))
    assert "secrets" not in values and "lockboxKeySecret" not in values, "there is nothing that all may read"
    told = {role: given for role, given in values.items() if isinstance(given, dict) and "secrets" in given}
    assert set(told) == {"lookup", "grpc", "feedback", "operators", "overlay", "land", "dagster", "backup"}
    named: dict[str, set[str]] = {}
    for given in told.values():
        account = given["lockboxKeySecret"].removeprefix("recs-lockbox-")
        assert given["storageKeySecret"] == f"recs-storage-{account}"
        for reference in given["secrets"].values():
            secret = re.fullmatch(r"lockbox:e6qprod-(\w+)#\w+", reference)[1]  # type: ignore[index]
            named.setdefault(secret, set()).add(account)
    assert named == {secret: roles - {"dataproc"} for secret, roles in readers().items()}
    of_operators = {name for name, roles in readers().items() if roles == {"operators"}}
    assert of_operators == {"operators"}, "who looks up has no password that moves a pointer"


def test_the_secrets_that_are_made_are_those_that_somebody_reads_and_the_identity_key_lies_in_its_own() -> None:
    made = {name: body for kind, name, body in resources(MODULES / "secrets") if kind == "yandex_lockbox_secret"}
    given = set(re.findall(r'"(\w+)"', str(made.pop("given")["for_each"])))
    assert given | set(made) == set(readers())
    assert "identity" in made


def test_services_change_nothing_in_the_lake() -> None:
    [buckets] = [body["buckets"] for body in parsed(MODULES / "storage")["locals"]]
    editors = {who.strip('"') for who in buckets["lake"]["users"]}
    assert editors == {"night", "dataproc", "writers"}


def test_clickhouse_reads_the_lake_as_itself_and_changes_nothing_there() -> None:
    [cluster] = [body for kind, _, body in resources(MODULES / "data") if "clickhouse" in kind]
    assert cluster["service_account_id"] == "${var.clickhouse_account_id}"
    [granted] = [body for _, name, body in resources(MODULES / "storage") if name == "viewer"]
    assert 'this["lake"]' in granted["bucket"] and '"clickhouse"' in str(granted["members"])
    assert granted["role"].strip('"') == "storage.viewer"
    [users] = [
        body for kind, _, body in resources(MODULES / "secrets") if kind == "yandex_kms_symmetric_key_iam_member"
    ]
    assert '"clickhouse"' in str(users["for_each"]), "the lake is encrypted"
    for example in EXAMPLES:
        modules = labelled(example, "module")
        assert modules["data"]["clickhouse_account_id"] == '${module.identity.ids["clickhouse"]}'


def test_data_proc_may_go_where_the_charts_mlflow_is() -> None:
    [group] = [body for _, name, body in resources(MODULES / "network") if name == "dataproc"]
    ports = [
        one["port"]
        for one in group["egress"]
        if one.get("v4_cidr_blocks") == "${values(var.subnets)}" and "port" in one
    ]
    assert ports == [5000]
    [nodes] = [body for _, name, body in resources(MODULES / "network") if name == "nodes"]
    [handed_on] = [one for one in nodes["ingress"] if "Data Proc" in one.get("description", "")]
    assert (handed_on["from_port"], handed_on["to_port"]) == (30000, 32767)


def test_what_is_at_rest_is_encrypted_and_buckets_do_not_grow_for_ever() -> None:
    for folder in FOLDERS:
        for kind, name, body in resources(folder):
            if kind == "yandex_storage_bucket":
                assert body["server_side_encryption_configuration"] and body["versioning"][0]["enabled"] is True
                assert any("noncurrent_version_expiration" in rule for rule in body["lifecycle_rule"])
            if kind in ("yandex_mdb_clickhouse_cluster_v2", "yandex_mdb_postgresql_cluster_v2"):
                assert body["disk_encryption_key_id"], name


def test_the_budget_which_no_resource_makes_is_a_request_that_the_clouds_api_knows() -> None:
    written = (TERRAFORM / "budget.json").read_text(encoding="utf-8")
    budget = ParseDict(json.loads(written), CreateBudgetRequest()).cost_budget_spec
    assert budget.reset_period == ResetPeriodType.MONTHLY
    assert [(rule.type, rule.amount) for rule in budget.threshold_rules] == [
        (ThresholdType.PERCENT, percent) for percent in ("50", "80", "100")
    ]
    told = (TERRAFORM.parents[1] / "README.md").read_text(encoding="utf-8")
    assert all(f"{name}=" in told for name in re.findall(r"\$\{(\w+)\}", written)), "the README says what to set"


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not here")
def test_terraform_finds_the_files_formatted() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", str(TERRAFORM)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

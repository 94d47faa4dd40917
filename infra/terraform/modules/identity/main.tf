# Who does what, each with the least it needs. Terraform itself runs as `provisioner`, which no workload is.

locals {
  roles = {
    # Runs clusters for nights.
    night = ["dataproc.agent", "dataproc.editor", "logging.writer", "monitoring.editor", "vpc.user", "iam.serviceAccounts.user"]
    # The hosts of those clusters.
    dataproc = ["dataproc.agent", "dataproc.provisioner", "logging.writer", "monitoring.editor"]
    # REST and gRPC; the same for operators; overlay and landing: nothing in the folder, secrets and buckets are granted one
    # by one.
    look-up   = []
    operators = []
    writers   = []
    # ClickHouse's hosts, which load snapshots by s3() without a key.
    clickhouse = []
    # The Kubernetes cluster and its load balancers.
    cluster = ["k8s.clusters.agent", "vpc.publicAdmin", "load-balancer.admin", "logging.writer"]
    nodes   = ["container-registry.images.puller"]
    # The pipeline: images only; a release is made by the cluster's own rights of the deployer.
    pipeline = ["container-registry.images.pusher"]
  }
  granted = merge([for who, roles in local.roles : { for role in roles : "${who} ${role}" => { who = who, role = role } }]...)
}

resource "yandex_iam_service_account" "this" {
  for_each  = local.roles
  name      = "${var.name}-${each.key}"
  folder_id = var.folder_id
}

resource "yandex_resourcemanager_folder_iam_member" "this" {
  for_each  = local.granted
  folder_id = var.folder_id
  role      = each.value.role
  member    = "serviceAccount:${yandex_iam_service_account.this[each.value.who].id}"
}

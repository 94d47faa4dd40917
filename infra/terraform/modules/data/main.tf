# Managed ClickHouse, Kafka and PostgreSQL. Tables and topics are not made here: recs and `recs topics --apply` do.
# PostgreSQL's passwords are made by the Connection Manager, so they are not in the state; Kafka's users, whose resource can only be
# given one, are made with yc (see the README).

resource "yandex_mdb_clickhouse_cluster_v2" "this" {
  name                   = var.name
  environment            = var.environment
  network_id             = var.network_id
  security_group_ids     = [var.security_group_id]
  service_account_id     = var.clickhouse_account_id
  version                = "25.3"
  embedded_keeper        = true
  disk_encryption_key_id = var.kms_key_id
  deletion_protection    = var.protected

  # Users, their rights and quotas are made by `recs grants`, as this administrator; write-only, so not in the state.
  sql_user_management       = true
  sql_database_management   = true
  admin_password_wo         = var.clickhouse_admin_password
  admin_password_wo_version = 1

  clickhouse = {
    resources = {
      resource_preset_id = var.clickhouse.preset
      disk_type_id       = "network-ssd"
      disk_size          = var.clickhouse.disk_gb
    }
  }
  hosts = {
    for zone, subnet_id in var.subnet_ids : zone => {
      type      = "CLICKHOUSE"
      zone      = zone
      subnet_id = subnet_id
    }
  }
  backup_window_start = {
    hours   = 21
    minutes = 0
  }
  maintenance_window {
    type = "WEEKLY"
    day  = "SUN"
    hour = 12
  }
}

resource "yandex_mdb_kafka_cluster" "this" {
  name                = var.name
  environment         = var.environment
  network_id          = var.network_id
  subnet_ids          = values(var.subnet_ids)
  security_group_ids  = [var.security_group_id]
  deletion_protection = var.protected
  config {
    version          = "3.9"
    brokers_count    = 1
    zones            = keys(var.subnet_ids)
    assign_public_ip = false
    schema_registry  = true
    kafka {
      resources {
        resource_preset_id = var.kafka.preset
        disk_type_id       = "network-ssd"
        disk_size          = var.kafka.disk_gb
      }
      kafka_config {
        auto_create_topics_enable  = false
        default_replication_factor = min(3, length(var.subnet_ids))
        sasl_enabled_mechanisms    = ["SASL_MECHANISM_SCRAM_SHA_512"]
      }
    }
  }
}

resource "yandex_mdb_postgresql_cluster_v2" "this" {
  name                   = var.name
  environment            = var.environment
  network_id             = var.network_id
  security_group_ids     = [var.security_group_id]
  disk_encryption_key_id = var.kms_key_id
  deletion_protection    = var.protected
  config {
    version = 17
    resources {
      resource_preset_id = var.postgresql.preset
      disk_type_id       = "network-ssd"
      disk_size          = var.postgresql.disk_gb
    }
  }
  hosts = {
    for zone, subnet_id in var.subnet_ids : zone => {
      zone      = zone
      subnet_id = subnet_id
    }
  }
}

resource "yandex_mdb_postgresql_user" "this" {
  for_each          = toset(["dagster", "mlflow"])
  cluster_id        = yandex_mdb_postgresql_cluster_v2.this.id
  name              = each.key
  generate_password = true
}

resource "yandex_mdb_postgresql_database" "this" {
  for_each   = toset(["dagster", "mlflow"])
  cluster_id = yandex_mdb_postgresql_cluster_v2.this.id
  name       = each.key
  owner      = yandex_mdb_postgresql_user.this[each.key].name
}

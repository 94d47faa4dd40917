output "clickhouse_id" {
  value       = yandex_mdb_clickhouse_cluster_v2.this.id
  description = "the cluster; its hosts are c-ID.rw.… of the cloud"
}

output "clickhouse_replicas" {
  value       = join(",", [for host in values(yandex_mdb_clickhouse_cluster_v2.this.hosts) : "https://${host.fqdn}:8443"])
  description = "URLs of its hosts"
}

output "kafka_id" {
  value       = yandex_mdb_kafka_cluster.this.id
  description = "the cluster"
}

output "postgresql_id" {
  value       = yandex_mdb_postgresql_cluster_v2.this.id
  description = "the cluster"
}


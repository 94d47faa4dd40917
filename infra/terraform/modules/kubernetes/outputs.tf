output "cluster_id" {
  value       = yandex_kubernetes_cluster.this.id
  description = "for yc managed-kubernetes cluster get-credentials"
}

output "registry_id" {
  value       = yandex_container_registry.this.id
  description = "where images go"
}

output "log_group_id" {
  value       = yandex_logging_group.this.id
  description = "where logs go"
}


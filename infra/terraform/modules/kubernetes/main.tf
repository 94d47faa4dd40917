# The cluster of the day and of Dagster, its registry of images, and where logs go.

resource "yandex_logging_group" "this" {
  name      = var.name
  folder_id = var.folder_id
}

resource "yandex_container_registry" "this" {
  name      = var.name
  folder_id = var.folder_id
}

resource "yandex_kubernetes_cluster" "this" {
  name                     = var.name
  network_id               = var.network_id
  service_account_id       = var.account_ids["cluster"]
  node_service_account_id  = var.account_ids["nodes"]
  release_channel          = "STABLE"
  network_policy_provider  = "CALICO"
  cluster_ipv4_range       = var.pods_cidr
  service_ipv4_range       = var.services_cidr
  node_ipv4_cidr_mask_size = 24

  master {
    version            = "1.31"
    public_ip          = false
    security_group_ids = [var.security_group_id]
    regional {
      region = "ru-central1"
      dynamic "location" {
        for_each = var.subnet_ids
        content {
          zone      = location.key
          subnet_id = location.value
        }
      }
    }
    master_logging {
      enabled                = true
      log_group_id           = yandex_logging_group.this.id
      audit_enabled          = true
      kube_apiserver_enabled = true
      events_enabled         = true
    }
    maintenance_policy {
      auto_upgrade = true
      maintenance_window {
        start_time = "12:00"
        duration   = "3h"
      }
    }
  }
  kms_provider {
    key_id = var.kms_key_id
  }
}

resource "yandex_kubernetes_node_group" "zone" {
  for_each   = var.subnet_ids
  cluster_id = yandex_kubernetes_cluster.this.id
  name       = "${var.name}-${each.key}"
  version    = "1.31"

  instance_template {
    platform_id = "standard-v3"
    network_interface {
      nat                = false
      subnet_ids         = [each.value]
      security_group_ids = [var.security_group_id]
    }
    resources {
      cores  = var.nodes.cores
      memory = var.nodes.memory_gb
    }
    boot_disk {
      type = "network-ssd"
      size = 96
    }
    container_runtime {
      type = "containerd"
    }
  }
  scale_policy {
    auto_scale {
      min     = var.nodes.min
      max     = var.nodes.max
      initial = var.nodes.min
    }
  }
  allocation_policy {
    location {
      zone = each.key
    }
  }
  maintenance_policy {
    auto_upgrade = true
    auto_repair  = true
  }
}

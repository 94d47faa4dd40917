# terraform init -backend-config=backend.hcl; the state lies in a bucket and is locked by a table, both made by hand once.
terraform {
  required_version = ">= 1.11"
  backend "s3" {
    key                         = "recs/dev.tfstate"
    region                      = "ru-central1"
    encrypt                     = true
    dynamodb_table              = "recs-tfstate-lock"
    skip_region_validation      = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = true
  }
  required_providers {
    yandex = {
      source  = "yandex-cloud/yandex"
      version = "~> 0.222"
    }
  }
}

# Credentials of the provisioner come from YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE.
provider "yandex" {
  folder_id = var.folder_id
}

variable "folder_id" {
  type        = string
  description = "the folder"
}

variable "client_cidrs" {
  type        = list(string)
  description = "where clients of the look-up are"
}

variable "clickhouse_admin_password" {
  type        = string
  description = "of ClickHouse's administrator; kept nowhere"
  ephemeral   = true
  sensitive   = true
}

locals {
  name = "recs-dev"
}

module "network" {
  source       = "../../modules/network"
  name         = local.name
  client_cidrs = var.client_cidrs
  subnets = {
    "ru-central1-d" = "10.1.0.0/20"
  }
}

module "identity" {
  source    = "../../modules/identity"
  name      = local.name
  folder_id = var.folder_id
}

module "secrets" {
  source      = "../../modules/secrets"
  name        = local.name
  account_ids = module.identity.ids
}

module "storage" {
  source      = "../../modules/storage"
  name        = local.name
  folder_id   = var.folder_id
  kms_key_id  = module.secrets.kms_key_id
  account_ids = module.identity.ids
}

module "data" {
  source                    = "../../modules/data"
  clickhouse_admin_password = var.clickhouse_admin_password
  clickhouse_account_id     = module.identity.ids["clickhouse"]
  name                      = local.name
  environment               = "PRESTABLE"
  protected                 = false
  network_id                = module.network.network_id
  subnet_ids                = module.network.subnet_ids
  security_group_id         = module.network.security_group_ids["data"]
  kms_key_id                = module.secrets.kms_key_id
  clickhouse                = { preset = "s3-c2-m8", disk_gb = 100 }
  kafka                     = { preset = "s3-c2-m8", disk_gb = 50 }
  postgresql                = { preset = "s3-c2-m8", disk_gb = 20 }
}

module "kubernetes" {
  source            = "../../modules/kubernetes"
  name              = local.name
  folder_id         = var.folder_id
  network_id        = module.network.network_id
  subnet_ids        = module.network.subnet_ids
  security_group_id = module.network.security_group_ids["nodes"]
  kms_key_id        = module.secrets.kms_key_id
  account_ids       = module.identity.ids
  nodes             = { cores = 4, memory_gb = 16, min = 1, max = 2 }
}

output "dataproc" {
  description = "for the chart: dagster.dataproc"
  value = {
    folder_id          = var.folder_id
    bucket             = module.storage.buckets["dataproc"]
    zone_id            = "ru-central1-d"
    subnet_id          = module.network.subnet_ids["ru-central1-d"]
    service_account_id = module.identity.ids["dataproc"]
    security_group_ids = [module.network.security_group_ids["dataproc"]]
    log_group_id       = module.kubernetes.log_group_id
  }
}

output "secret_ids" {
  description = "for the chart: secrets"
  value       = module.secrets.secret_ids
}

output "clickhouse_replicas" {
  description = "for the chart: settings.clickhouse_replicas"
  value       = module.data.clickhouse_replicas
}

output "clusters" {
  description = "for the chart: addresses"
  value = {
    kubernetes = module.kubernetes.cluster_id
    registry   = module.kubernetes.registry_id
    clickhouse = module.data.clickhouse_id
    kafka      = module.data.kafka_id
    postgresql = module.data.postgresql_id
  }
}

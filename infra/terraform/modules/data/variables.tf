variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "environment" {
  type        = string
  description = "PRESTABLE or PRODUCTION"
}

variable "network_id" {
  type        = string
  description = "the network"
}

variable "subnet_ids" {
  type        = map(string)
  description = "zone -> subnet; a replica in each"
}

variable "security_group_id" {
  type        = string
  description = "who may reach them"
}

variable "kms_key_id" {
  type        = string
  description = "key of what is at rest"
}

variable "protected" {
  type        = bool
  description = "whether deleting is refused"
  default     = true
}

variable "clickhouse_account_id" {
  type        = string
  description = "service account as which ClickHouse reads the lake"
}

variable "clickhouse" {
  type = object({
    preset  = string
    disk_gb = number
  })
  description = "class and disk of a host"
}

variable "kafka" {
  type = object({
    preset  = string
    disk_gb = number
  })
  description = "class and disk of a broker"
}

variable "postgresql" {
  type = object({
    preset  = string
    disk_gb = number
  })
  description = "class and disk of a host"
}

variable "clickhouse_admin_password" {
  type        = string
  description = "of ClickHouse's administrator; kept nowhere"
  ephemeral   = true
  sensitive   = true
}

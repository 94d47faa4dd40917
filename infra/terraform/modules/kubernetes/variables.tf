variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "folder_id" {
  type        = string
  description = "the folder"
}

variable "network_id" {
  type        = string
  description = "the network"
}

variable "subnet_ids" {
  type        = map(string)
  description = "zone -> subnet"
}

variable "security_group_id" {
  type        = string
  description = "of nodes and master"
}

variable "kms_key_id" {
  type        = string
  description = "key of the cluster's secrets"
}

variable "account_ids" {
  type        = map(string)
  description = "role -> service account"
}

variable "pods_cidr" {
  type        = string
  description = "addresses of pods"
  default     = "10.96.0.0/16"
}

variable "services_cidr" {
  type        = string
  description = "addresses of services"
  default     = "10.112.0.0/16"
}

variable "nodes" {
  type = object({
    cores     = number
    memory_gb = number
    min       = number
    max       = number
  })
  description = "nodes of a zone"
}


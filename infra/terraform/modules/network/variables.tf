variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "subnets" {
  type        = map(string)
  description = "zone -> its block of addresses"
}

variable "client_cidrs" {
  type        = list(string)
  description = "where clients of the look-up are"
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


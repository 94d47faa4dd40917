variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "account_ids" {
  type        = map(string)
  description = "role -> service account"
}


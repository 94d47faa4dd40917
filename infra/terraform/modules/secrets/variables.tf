variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "reader_id" {
  type        = string
  description = "service account of the services, which read secrets"
}

variable "key_users" {
  type        = map(string)
  description = "role -> service account that encrypts and decrypts"
}


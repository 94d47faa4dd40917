variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "reader_id" {
  type        = string
  description = "service account of the services, which read secrets"
}

variable "identity_reader_id" {
  type        = string
  description = "service account of Data Proc's hosts, which read the identity key"
}

variable "key_users" {
  type        = map(string)
  description = "role -> service account that encrypts and decrypts"
}


variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "folder_id" {
  type        = string
  description = "the folder"
}

variable "kms_key_id" {
  type        = string
  description = "key of what is at rest"
}

variable "account_ids" {
  type        = map(string)
  description = "role -> service account"
}


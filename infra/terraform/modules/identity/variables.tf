variable "name" {
  type        = string
  description = "prefix of every name"
}

variable "folder_id" {
  type        = string
  description = "the folder"
}


output "kms_key_id" {
  value       = yandex_kms_symmetric_key.this.id
  description = "the key"
}

output "secret_ids" {
  value       = local.secret_ids
  description = "for the chart: lockbox:ID#key"
}


output "kms_key_id" {
  value       = yandex_kms_symmetric_key.this.id
  description = "the key"
}

output "secret_ids" {
  value       = { rec_id = yandex_lockbox_secret.rec_id.id, given = yandex_lockbox_secret.given.id }
  description = "for the chart: lockbox:ID#key"
}


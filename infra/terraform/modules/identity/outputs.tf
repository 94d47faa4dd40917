output "ids" {
  value       = { for who, account in yandex_iam_service_account.this : who => account.id }
  description = "role -> service account"
}


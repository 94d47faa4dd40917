# The key of everything at rest, and the project's secrets. Values never pass through Terraform: Lockbox makes one
# itself, and the others are put in by people (yc lockbox secret add-version), so none is in the state.

resource "yandex_kms_symmetric_key" "this" {
  name                = var.name
  default_algorithm   = "AES_256"
  rotation_period     = "2160h"
  deletion_protection = true
}

# Signs rec_ids.
resource "yandex_lockbox_secret" "rec_id" {
  name                = "${var.name}-rec-id"
  kms_key_id          = yandex_kms_symmetric_key.this.id
  deletion_protection = true
  password_payload_specification {
    password_key = "rec_id"
    length       = 64
  }
}

# Key identity, alone: whoever computes on Data Proc reads this one and no password.
resource "yandex_lockbox_secret" "identity" {
  name                = "${var.name}-identity"
  kms_key_id          = yandex_kms_symmetric_key.this.id
  deletion_protection = true
}

# Keys clickhouse_…, kafka, alerts, dagster: see the chart's values.
resource "yandex_lockbox_secret" "given" {
  name                = "${var.name}-given"
  kms_key_id          = yandex_kms_symmetric_key.this.id
  deletion_protection = true
}

locals {
  secret_ids = {
    rec_id   = yandex_lockbox_secret.rec_id.id
    identity = yandex_lockbox_secret.identity.id
    given    = yandex_lockbox_secret.given.id
  }
}

resource "yandex_lockbox_secret_iam_member" "reader" {
  for_each  = local.secret_ids
  secret_id = each.value
  role      = "lockbox.payloadViewer"
  member    = "serviceAccount:${var.reader_id}"
}

resource "yandex_lockbox_secret_iam_member" "identity_reader" {
  secret_id = yandex_lockbox_secret.identity.id
  role      = "lockbox.payloadViewer"
  member    = "serviceAccount:${var.identity_reader_id}"
}

resource "yandex_kms_symmetric_key_iam_member" "user" {
  for_each         = var.key_users
  symmetric_key_id = yandex_kms_symmetric_key.this.id
  role             = "kms.keys.encrypterDecrypter"
  member           = "serviceAccount:${each.value}"
}

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

# What one role logs in with, in a secret of its own; its keys are in the chart's values.
resource "yandex_lockbox_secret" "given" {
  for_each            = toset(["look_up", "operators", "writers", "night"])
  name                = "${var.name}-${replace(each.key, "_", "-")}"
  kms_key_id          = yandex_kms_symmetric_key.this.id
  deletion_protection = true
}

locals {
  secret_ids = merge(
    { rec_id = yandex_lockbox_secret.rec_id.id, identity = yandex_lockbox_secret.identity.id },
    { for name, secret in yandex_lockbox_secret.given : name => secret.id },
  )
  # Who reads which. Operators' service answers look-ups too; overlay and landing sign nothing and know nobody's identity.
  readers = {
    rec_id    = ["look-up", "operators", "night"]
    identity  = ["night", "dataproc"]
    look_up   = ["look-up", "operators"]
    operators = ["operators"]
    writers   = ["writers"]
    night     = ["night"]
  }
  read = merge([for secret, roles in local.readers : { for role in roles : "${secret} ${role}" => { secret = secret, role = role } }]...)
}

resource "yandex_lockbox_secret_iam_member" "reader" {
  for_each  = local.read
  secret_id = local.secret_ids[each.value.secret]
  role      = "lockbox.payloadViewer"
  member    = "serviceAccount:${var.account_ids[each.value.role]}"
}

resource "yandex_kms_symmetric_key_iam_member" "user" {
  for_each         = toset(["look-up", "operators", "writers", "night", "dataproc", "clickhouse", "cluster"])
  symmetric_key_id = yandex_kms_symmetric_key.this.id
  role             = "kms.keys.encrypterDecrypter"
  member           = "serviceAccount:${var.account_ids[each.value]}"
}

# Buckets, encrypted and versioned, each with its own life of objects and its own users.

locals {
  buckets = {
    # Tables clean themselves (upkeep); what they replaced stays a fortnight, for mistakes.
    lake     = { expire_days = 0, old_days = 14, users = ["night", "dataproc", "writers"] }
    exports  = { expire_days = 30, old_days = 1, users = ["look-up", "operators"] }
    backups  = { expire_days = 0, old_days = 90, users = ["night"] }
    mlflow   = { expire_days = 0, old_days = 30, users = ["night"] }
    dataproc = { expire_days = 30, old_days = 1, users = ["night", "dataproc"] }
  }
}

resource "yandex_storage_bucket" "this" {
  for_each  = local.buckets
  bucket    = "${var.name}-${each.key}"
  folder_id = var.folder_id

  versioning {
    enabled = true
  }
  anonymous_access_flags {
    read        = false
    list        = false
    config_read = false
  }
  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        kms_master_key_id = var.kms_key_id
        sse_algorithm     = "aws:kms"
      }
    }
  }
  lifecycle_rule {
    id                                     = "unfinished"
    enabled                                = true
    abort_incomplete_multipart_upload_days = 2
    noncurrent_version_expiration {
      days = each.value.old_days
    }
  }
  dynamic "lifecycle_rule" {
    for_each = each.value.expire_days > 0 ? [each.value.expire_days] : []
    content {
      id      = "expired"
      enabled = true
      expiration {
        days = lifecycle_rule.value
      }
    }
  }
}

# ClickHouse reads the snapshots that it loads, services what nights left there for them.
resource "yandex_storage_bucket_iam_binding" "viewer" {
  bucket  = yandex_storage_bucket.this["lake"].bucket
  role    = "storage.viewer"
  members = [for who in ["clickhouse", "look-up", "operators"] : "serviceAccount:${var.account_ids[who]}"]
}

resource "yandex_storage_bucket_iam_binding" "editor" {
  for_each = local.buckets
  bucket   = yandex_storage_bucket.this[each.key].bucket
  role     = "storage.editor"
  members  = [for who in each.value.users : "serviceAccount:${var.account_ids[who]}"]
}

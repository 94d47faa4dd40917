output "buckets" {
  value       = { for use, bucket in yandex_storage_bucket.this : use => bucket.bucket }
  description = "use -> bucket"
}


output "network_id" {
  value       = yandex_vpc_network.this.id
  description = "the network"
}

output "subnet_ids" {
  value       = { for zone, subnet in yandex_vpc_subnet.zone : zone => subnet.id }
  description = "zone -> subnet"
}

output "security_group_ids" {
  value = {
    nodes    = yandex_vpc_security_group.nodes.id
    data     = yandex_vpc_security_group.data.id
    dataproc = yandex_vpc_security_group.dataproc.id
  }
  description = "role -> security group"
}


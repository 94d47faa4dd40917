# One network, a subnet a zone without public addresses, one way out, and who may talk to whom.

resource "yandex_vpc_network" "this" {
  name = var.name
}

resource "yandex_vpc_gateway" "out" {
  name = "${var.name}-out"
  shared_egress_gateway {}
}

resource "yandex_vpc_route_table" "out" {
  name       = "${var.name}-out"
  network_id = yandex_vpc_network.this.id
  static_route {
    destination_prefix = "0.0.0.0/0"
    gateway_id         = yandex_vpc_gateway.out.id
  }
}

resource "yandex_vpc_subnet" "zone" {
  for_each       = var.subnets
  name           = "${var.name}-${each.key}"
  zone           = each.key
  network_id     = yandex_vpc_network.this.id
  v4_cidr_blocks = [each.value]
  route_table_id = yandex_vpc_route_table.out.id
}

# Kubernetes' nodes and pods.
resource "yandex_vpc_security_group" "nodes" {
  name       = "${var.name}-nodes"
  network_id = yandex_vpc_network.this.id
  ingress {
    description       = "nodes and master among themselves"
    protocol          = "ANY"
    predefined_target = "self_security_group"
    from_port         = 0
    to_port           = 65535
  }
  ingress {
    description       = "health checks of load balancers"
    protocol          = "TCP"
    predefined_target = "loadbalancer_healthchecks"
    from_port         = 0
    to_port           = 65535
  }
  ingress {
    description    = "clients, through the load balancer"
    protocol       = "TCP"
    port           = 443
    v4_cidr_blocks = var.client_cidrs
  }
  ingress {
    description    = "Data Proc to MLflow, whose internal load balancer hands on to nodes' ports"
    protocol       = "TCP"
    from_port      = 30000
    to_port        = 32767
    v4_cidr_blocks = values(var.subnets)
  }
  ingress {
    description    = "pods and services"
    protocol       = "ANY"
    v4_cidr_blocks = [var.pods_cidr, var.services_cidr]
    from_port      = 0
    to_port        = 65535
  }
  egress {
    description    = "anywhere; network policies say which pod"
    protocol       = "ANY"
    v4_cidr_blocks = ["0.0.0.0/0"]
    from_port      = 0
    to_port        = 65535
  }
}

# Databases and brokers: only from nodes and Data Proc, only their ports.
resource "yandex_vpc_security_group" "data" {
  name       = "${var.name}-data"
  network_id = yandex_vpc_network.this.id
  dynamic "ingress" {
    for_each = {
      for pair in setproduct(["8443", "9440", "9091", "6432"], ["nodes", "dataproc"]) : join(" ", pair) => pair
    }
    content {
      description       = ingress.key
      protocol          = "TCP"
      port              = tonumber(ingress.value[0])
      security_group_id = ingress.value[1] == "nodes" ? yandex_vpc_security_group.nodes.id : yandex_vpc_security_group.dataproc.id
    }
  }
  ingress {
    description       = "hosts of a cluster among themselves"
    protocol          = "ANY"
    predefined_target = "self_security_group"
    from_port         = 0
    to_port           = 65535
  }
  egress {
    protocol       = "ANY"
    v4_cidr_blocks = ["0.0.0.0/0"]
    from_port      = 0
    to_port        = 65535
  }
}

# Data Proc asks that its hosts reach each other without limits, and the cloud's API outside.
resource "yandex_vpc_security_group" "dataproc" {
  name       = "${var.name}-dataproc"
  network_id = yandex_vpc_network.this.id
  ingress {
    protocol          = "ANY"
    predefined_target = "self_security_group"
    from_port         = 0
    to_port           = 65535
  }
  egress {
    protocol          = "ANY"
    predefined_target = "self_security_group"
    from_port         = 0
    to_port           = 65535
  }
  egress {
    description    = "Object Storage and the cloud's API"
    protocol       = "TCP"
    port           = 443
    v4_cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    description    = "MLflow, by the internal load balancer"
    protocol       = "TCP"
    port           = 5000
    v4_cidr_blocks = values(var.subnets)
  }
  egress {
    description    = "databases and brokers"
    protocol       = "TCP"
    from_port      = 6432
    to_port        = 9440
    v4_cidr_blocks = values(var.subnets)
  }
}

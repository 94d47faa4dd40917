"""A real Kafka broker for development and tests: Apache Kafka on the packaged Java, one node, KRaft."""

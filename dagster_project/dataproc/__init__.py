"""Spark jobs on Yandex Data Proc: clusters, jobs, packages, and what is told of their faults. No job's logic."""

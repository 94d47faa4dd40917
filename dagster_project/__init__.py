"""The schedule: assets, partitions, resources and checks of the night.

Belongs here: what depends on what, when it runs, and how a job is launched and reported. Does not: what a job does.
"""

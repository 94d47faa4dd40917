"""One file a group of the night; each gives `build(partitions) -> list of assets`."""

"""One file an area of features: each gives `features(silver) -> iterator of Feature`, and is a line of the registry."""

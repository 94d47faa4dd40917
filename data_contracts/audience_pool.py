"""How many users a snapshot keeps of each product for audiences: so many, and one in so many of who may be shown it."""

FEWEST, SHARE = 100_000, 20

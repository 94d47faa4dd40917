"""Landing: events from Kafka into files of the lake, each exactly once. No Spark; runs by day and night.

Exactly once is made of two things. An event whose idempotency key lies in its folder already is left out, so repeated
and replayed events change nothing. And files become visible only after Kafka has accepted the offsets behind them:
they are staged under a flush id, the offsets are committed with that id as their metadata (which Kafka refuses to
whoever has lost the partition), then they are moved into place. Whoever gets the partition next finishes the move of
the flush that Kafka names, and throws away what else is staged.
"""

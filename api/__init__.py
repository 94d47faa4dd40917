"""The day: answers look-ups from the published snapshot, through the policy; want of a list is never an error.

- `store`: what the day asks of ClickHouse, as a Protocol; `clickhouse_store` is the real one
- `serving`: one immutable object with all that the pointers point to; `watch` polls them and swaps it
- `static_copy`: the copy on disk that answers when there is no database
- `recommend`: questions to answers, pure; `lookup` asks it in batches (`batches`), with a deadline
- `security` says who may ask, `limits` how often; `edge` surrounds every request; `breaker` spares a failing database
- `metrics`, `logs`, `traces`: what is told of it all, nothing of it about any user
- `answers`, `routes`, `problems`, `app`: HTTP

Belongs here: serving. Does not: what may be shown (data_contracts.policy), SQL, anything of the night.
"""

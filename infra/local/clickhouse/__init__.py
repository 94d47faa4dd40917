"""The embedded ClickHouse: chdb, the real engine as a library, behind a small HTTP server on 127.0.0.1.

It speaks as much of ClickHouse's HTTP interface as `clickhouse-connect` and our own SQL use, so that everything above
talks to it exactly as to a server in production. It has no users and no replication, does not notice when a client goes
away, takes no external tables and no `input()`, and holds a whole answer in memory before it sends it.

- `engine`: one process owns a data folder; queries run in parallel, one engine connection each
- `protocol`: what a request means and what an answer looks like, without sockets
- `server`: the sockets; `python -m infra.local.clickhouse --path DIR --port N`
- `running`: starts the server as a process and waits until it answers; tests use `clickhouse_url`
"""

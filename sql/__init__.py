"""ClickHouse: where one complete night is published, looked up, rolled back and dropped.

SQL lies in `.sql` files, one folder a table and version, with server-side parameters; the Python here only runs them:
`client` connects and translates errors, `migrate` creates, `load` and `verify` bring a snapshot in, `pointer` moves
between snapshots, `rules` holds what may be shown, `retention` drops what is old. API, Dagster and CLI go through it.
"""

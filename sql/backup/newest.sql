-- How many rows a table has, and when the newest came.
SELECT
    count() AS row_count,
    max({at:Identifier}) AS newest
FROM {table:Identifier}

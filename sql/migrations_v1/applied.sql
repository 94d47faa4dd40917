SELECT
    step,
    any(file) AS file,
    any(digest) AS digest
FROM migrations
GROUP BY step
ORDER BY step

-- For how many seconds events may have come that answers do not know of; NULL where no writer was ever seen. A writer
-- that is silent for 10 s has ended, and others have its partitions by now: it counts only where no other lives.
-- All by the server's clock.
WITH beats AS (
    SELECT
        writer,
        argMax(lag_seconds, beat_at) AS lag_seconds,
        dateDiff('millisecond', max(beat_at), now64(3, 'UTC')) / 1000 AS silent_seconds
    FROM overlay_writers
    GROUP BY writer
)

SELECT
    multiIf(
        count() = 0, NULL,
        min(silent_seconds) > 10, min(silent_seconds),
        maxIf(silent_seconds + lag_seconds, silent_seconds <= 10)
    ) AS overlay_lag_seconds
FROM beats

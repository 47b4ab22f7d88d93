-- Bytes by kind and day, and all that had come by then. What was cleaned up since is counted: it was made.
WITH by_day AS (
    SELECT
        started_at::DATE AS day,
        sum(image_bytes) AS images,
        sum(thumbnail_bytes) AS thumbnails,
        sum(export_bytes) AS exports,
        sum(rejected_bytes) AS rejected,
        sum(journal_bytes) AS journal
    FROM runs_between($since, $until, $user)
    WHERE started_at IS NOT NULL
    GROUP BY day
)
SELECT
    day,
    kind,
    bytes::BIGINT AS bytes,
    sum(bytes) OVER (PARTITION BY kind ORDER BY day)::BIGINT AS bytes_so_far
FROM by_day UNPIVOT (bytes FOR kind IN (images, thumbnails, exports, rejected, journal))
ORDER BY day, kind;

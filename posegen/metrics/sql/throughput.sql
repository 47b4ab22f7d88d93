-- Images a minute of working on them, by the day that runs began.
SELECT
    started_at::DATE AS day,
    count(*) AS runs,
    sum(made)::BIGINT AS images,
    round(sum(duration_ms) / 60000.0, 2) AS minutes_worked,
    round(sum(made) / nullif(sum(duration_ms) / 60000.0, 0), 2) AS images_per_minute
FROM runs_between($since, $until, $user)
WHERE started_at IS NOT NULL
GROUP BY day
ORDER BY day;

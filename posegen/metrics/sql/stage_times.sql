-- How long each stage of an image takes, by backend; exact quantiles.
SELECT
    backend,
    stage,
    count(duration_ms) AS count,
    round(quantile_cont(duration_ms, 0.5), 1) AS p50_ms,
    round(quantile_cont(duration_ms, 0.95), 1) AS p95_ms,
    round(quantile_cont(duration_ms, 0.99), 1) AS p99_ms
FROM stages SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
GROUP BY backend, stage
ORDER BY backend, stage;

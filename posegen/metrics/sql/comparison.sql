-- Runs side by side, in the order they were named.
WITH per_image AS (
    SELECT
        run_id,
        quantile_cont(duration_ms, 0.5) AS p50_ms,
        quantile_cont(duration_ms, 0.95) AS p95_ms,
        favg(oks) AS oks,
        favg(pck_20) AS pck_20
    FROM all_images
    WHERE status = 'stored' AND list_contains($runs, run_id)
    GROUP BY run_id
)
SELECT
    run_id,
    status,
    "user",
    started_at,
    planned,
    made,
    failed,
    rejected,
    duration_ms,
    round(made / nullif(duration_ms / 60000.0, 0), 2) AS images_per_minute,
    round(p50_ms, 1) AS p50_image_ms,
    round(p95_ms, 1) AS p95_image_ms,
    round(oks, 3) AS mean_oks,
    round(pck_20, 3) AS mean_pck_20,
    round(cost_usd / nullif(made, 0), 4) AS usd_per_image,
    round(image_bytes / nullif(made, 0))::BIGINT AS bytes_per_image
FROM runs_between($since, $until, $user) LEFT JOIN per_image USING (run_id)
WHERE list_contains($runs, run_id)
ORDER BY list_position($runs, run_id);

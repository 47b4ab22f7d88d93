-- Pose accuracy of the images that were kept, by month, and in turn by pose, category, backend and conditioning.
WITH measured AS (
    SELECT
        strftime(run_started_at, '%Y-%m') AS month,
        oks, pck_20, angle_error_deg, people,
        unnest([
            {'dimension': 'pose', 'value': pose_id},
            {'dimension': 'category', 'value': category},
            {'dimension': 'backend', 'value': backend},
            {'dimension': 'conditioning', 'value': conditioning}
        ]) AS split_by
    FROM images SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
    WHERE status = 'stored' AND oks IS NOT NULL
)
SELECT
    split_by.dimension AS dimension,
    split_by.value AS value,
    month,
    count(*) AS images,
    round(favg(oks), 3) AS mean_oks,
    round(quantile_cont(oks, 0.1), 3) AS p10_oks,
    round(favg(pck_20), 3) AS mean_pck_20,
    round(favg(angle_error_deg), 2) AS mean_angle_error_deg,
    count(*) FILTER (people = 0) AS nobody_found
FROM measured
GROUP BY ALL
ORDER BY dimension, value, month;

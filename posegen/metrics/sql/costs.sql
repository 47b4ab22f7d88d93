-- What an image that was kept costs, the tries below the bar included. NULL where no price is known.
WITH chosen AS (FROM runs_between($since, $until, $user)),
kept AS (
    SELECT backend, count(*) AS images, sum(cost_usd) AS usd
    FROM all_images SEMI JOIN chosen USING (run_id)
    WHERE status = 'stored'
    GROUP BY backend
),
thrown_away AS (
    SELECT backend, count(*) AS tries, sum(cost_usd) AS usd
    FROM candidates SEMI JOIN chosen USING (run_id)
    WHERE NOT kept
    GROUP BY backend
)
SELECT
    backend,
    coalesce(images, 0) AS images,
    coalesce(tries, 0) AS rejected_tries,
    round(kept.usd, 4) AS images_usd,
    round(thrown_away.usd, 4) AS rejected_usd,
    round((kept.usd + coalesce(thrown_away.usd, 0)) / nullif(images, 0), 4) AS usd_per_image
FROM kept FULL JOIN thrown_away USING (backend)
ORDER BY backend;

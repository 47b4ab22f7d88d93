-- Poses by how many images of them were asked for.
SELECT
    pose_id,
    any_value(pose_name) AS pose_name,
    any_value(category) AS category,
    count(*) AS images,
    count(DISTINCT run_id) AS generations,
    count(*) FILTER (status = 'stored') AS made,
    count(*) FILTER (status = 'failed') AS failed,
    round(favg(oks), 3) AS mean_oks
FROM all_images
    SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
    LEFT JOIN poses USING (pose_id)
WHERE pose_id IS NOT NULL
GROUP BY pose_id
ORDER BY images DESC, pose_id
LIMIT $limit;

-- Images that failed for good, by code.
SELECT code, count(*) AS count
FROM errors SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
WHERE final AND kind IN ('generate', 'withheld')
GROUP BY code
ORDER BY count DESC, code
LIMIT $limit;

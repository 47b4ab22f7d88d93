-- What did not count: runs that cannot be read, and lines. A run that is being written may have a torn line.
SELECT
    count(*) FILTER (status = 'unreadable') AS unreadable_runs,
    coalesce(sum(torn_lines) FILTER (outcome IS NOT NULL), 0)::BIGINT AS torn_lines,
    coalesce(sum(fenced_lines), 0)::BIGINT AS fenced_lines,
    coalesce(sum(unknown_events), 0)::BIGINT AS unknown_events,
    coalesce(sum(foreign_lines), 0)::BIGINT AS foreign_lines
FROM runs;

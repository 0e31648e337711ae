-- The concentration index is no share of anything: advice of before says so too.
UPDATE advice SET what_if = replace(what_if::text, '"hhi", "share"', '"hhi", "index"')::jsonb
 WHERE what_if::text LIKE '%"hhi", "share"%';

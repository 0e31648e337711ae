-- What was told of what happened, so that the past of a log is neither told late nor told twice.

ALTER TABLE projection
    ADD COLUMN judged bigint NOT NULL DEFAULT 0;            -- last event that alerts were judged by; a rebuild keeps it
UPDATE projection SET judged = sequence;

ALTER TABLE alerts
    ADD COLUMN told_severity smallint NOT NULL DEFAULT 0;   -- the worst that the investor was told; 0: nothing yet
UPDATE alerts SET told_severity = severity;

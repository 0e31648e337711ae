-- What advice on an alert waits for: {"halted": [instrument], "offered": {"instrument": lots}}; null: nothing.
ALTER TABLE alerts ADD COLUMN waits jsonb;
CREATE INDEX alerts_waiting ON alerts (alert_id) WHERE state <> 3 AND waits IS NOT NULL;

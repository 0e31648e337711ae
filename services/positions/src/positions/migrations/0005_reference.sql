-- 1: the operator set the reference price and nothing was traded since, so the next day begins with it.
ALTER TABLE instruments ADD COLUMN reference_set bigint NOT NULL DEFAULT 0;

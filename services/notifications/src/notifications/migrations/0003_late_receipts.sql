-- Receipts are looked through for deliveries that were recorded while they came in.
CREATE INDEX receipts_times ON notifications.receipts (time);

-- Notices are deleted some time after they came, the oldest first.
CREATE INDEX notices_times ON notifications.notices (create_time);

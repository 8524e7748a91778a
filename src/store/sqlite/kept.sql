-- Version 8: what a finished broadcast takes, for the bound on all that are kept (life/bound.rs).

ALTER TABLE broadcast ADD COLUMN bytes INTEGER;        -- NULL until it is measured, and where there is no bound
CREATE INDEX broadcast_kept ON broadcast (bytes) WHERE finished IS NOT NULL;

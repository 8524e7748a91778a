-- What a finished broadcast takes, for the bound on all that are kept (life/bound.rs). NULL until it is measured, and
-- where there is no bound.

ALTER TABLE broadcast ADD COLUMN bytes bigint;
CREATE INDEX broadcast_kept ON broadcast (bytes) WHERE finished IS NOT NULL;

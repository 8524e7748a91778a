-- Version 3: what of a shard may be sent while a target that kills its worker is looked for (model/narrowing.rs).

ALTER TABLE shard ADD COLUMN narrow_first INTEGER;
ALTER TABLE shard ADD COLUMN narrow_to INTEGER;
ALTER TABLE shard ADD COLUMN narrow_last INTEGER;

-- Version 2: what templates say, stored once however many targets share it (store/registration/link.rs).

CREATE TABLE template (
    hub      integer NOT NULL,
    id       bigint NOT NULL,                          -- TemplateId
    content  bytea NOT NULL,                           -- TemplateContent::encode
    PRIMARY KEY (hub, id)
);

-- NULL also in rows of the version before: they are told when somebody first sends to them.
ALTER TABLE target ADD COLUMN template bigint;
ALTER TABLE target ADD COLUMN variables bytea;         -- push variables that the template reads

CREATE INDEX target_template ON target (template) WHERE template IS NOT NULL;   -- which templates nobody has any more

-- A node of the version before writes a changed document and does not know that its targets name templates: what they
-- name then no longer holds, and is told anew when somebody sends to them. Nodes that know say so in their transactions
-- (registry/transaction.rs). To be dropped when no such node can be left.
CREATE FUNCTION forget_templates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE target SET template = NULL, variables = NULL
    WHERE template IS NOT NULL AND key = ANY (ARRAY (
        SELECT ((NEW.no >> 40) << 40)                  -- the hub's part of a key; seqs have 40 bits, little endian
            | get_byte(NEW.seqs, at)::bigint
            | (get_byte(NEW.seqs, at + 1)::bigint << 8)
            | (get_byte(NEW.seqs, at + 2)::bigint << 16)
            | (get_byte(NEW.seqs, at + 3)::bigint << 24)
            | (get_byte(NEW.seqs, at + 4)::bigint << 32)
        FROM generate_series(0, length(NEW.seqs) - 8, 8) AS at
    ));
    RETURN NULL;
END $$;

CREATE TRIGGER installation_forget_templates AFTER UPDATE OF document ON installation FOR EACH ROW
    WHEN (OLD.document IS DISTINCT FROM NEW.document AND current_setting('fanfare.templates', true) IS DISTINCT FROM 'known')
    EXECUTE FUNCTION forget_templates();

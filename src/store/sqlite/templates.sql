-- Version 4: what templates say, stored once however many targets share it (store/registration/link.rs).

CREATE TABLE template (
    hub      INTEGER NOT NULL,
    id       INTEGER NOT NULL,                         -- TemplateId
    content  BLOB NOT NULL,                            -- TemplateContent::encode
    PRIMARY KEY (hub, id)
) STRICT, WITHOUT ROWID;

-- NULL also in rows of before: they are told when somebody first sends to them.
ALTER TABLE target ADD COLUMN template INTEGER;
ALTER TABLE target ADD COLUMN variables BLOB;          -- push variables that the template reads

CREATE INDEX target_template ON target (template) WHERE template IS NOT NULL;   -- which templates nobody has any more

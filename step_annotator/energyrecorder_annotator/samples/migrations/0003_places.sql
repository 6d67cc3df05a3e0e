-- Where a server stands, as it was told last.
CREATE TABLE places (
    env TEXT NOT NULL,
    server TEXT NOT NULL,
    place TEXT NOT NULL,              -- JSON object of the schema's static tags
    PRIMARY KEY (env, server)
) WITHOUT ROWID;

-- What each sink has been told, what it will never take, and which step names keep a series of their own.
CREATE TABLE cursors (
    sink TEXT PRIMARY KEY,
    steps_seq INTEGER NOT NULL,       -- every change up to here is delivered or a dead letter
    marks_seq INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE deliveries (
    sink TEXT NOT NULL,
    step_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    memo TEXT NOT NULL,               -- what the sink wants to remember of it
    PRIMARY KEY (sink, step_id)
) WITHOUT ROWID;

CREATE TABLE dead_letters (
    sink TEXT NOT NULL,
    item_id TEXT NOT NULL,            -- of a step or a mark
    version INTEGER NOT NULL,
    failed_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (sink, item_id)
) WITHOUT ROWID;

CREATE TABLE step_names (
    env TEXT NOT NULL,
    scenario TEXT NOT NULL,
    name TEXT NOT NULL,
    day INTEGER NOT NULL,             -- first seen, days since the Unix epoch
    PRIMARY KEY (env, scenario, name)
) WITHOUT ROWID;
CREATE INDEX step_names_day ON step_names (env, scenario, day);
INSERT OR IGNORE INTO step_names
    SELECT env, scenario, step, min(start_ns) / 86400000000000 FROM steps WHERE step IS NOT NULL GROUP BY 1, 2, 3;

ALTER TABLE marks ADD COLUMN seq INTEGER;
UPDATE marks SET seq = (SELECT seq FROM sequence) + numbered.number FROM
    (SELECT mark_id, row_number() OVER (ORDER BY t_ns, mark_id) AS number FROM marks) AS numbered
    WHERE numbered.mark_id = marks.mark_id;
UPDATE sequence SET seq = seq + (SELECT count(*) FROM marks);
CREATE UNIQUE INDEX marks_seq ON marks (seq);

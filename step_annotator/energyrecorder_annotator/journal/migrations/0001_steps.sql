-- Steps, their results, marks, and what is still to be done about them.
CREATE TABLE steps (
    step_id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    parent_id TEXT,
    env TEXT NOT NULL,
    scenario TEXT NOT NULL,
    step TEXT,                        -- NULL for a scenario
    run_group TEXT,
    state TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,                   -- NULL while it runs
    started INTEGER NOT NULL,         -- 0: known from its stop only, the start is provisional
    ttl_s REAL NOT NULL,
    version INTEGER NOT NULL,
    changed_seq INTEGER NOT NULL,     -- of the last change; sinks follow it
    detail TEXT NOT NULL              -- JSON of everything that is not looked for
) WITHOUT ROWID;

-- start_ns first: the other columns may be 10 kB each and hardly tell steps apart.
CREATE UNIQUE INDEX steps_series
    ON steps (start_ns, env, scenario, COALESCE(step, ''), step IS NULL) WHERE started = 1;
CREATE INDEX steps_start ON steps (start_ns, step_id);
CREATE INDEX steps_roots ON steps (start_ns, step_id) WHERE run_id = step_id;
CREATE INDEX steps_run ON steps (run_id);
CREATE INDEX steps_parent ON steps (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX steps_open ON steps (env) WHERE end_ns IS NULL;
CREATE INDEX steps_end ON steps (env, end_ns);
CREATE UNIQUE INDEX steps_changed ON steps (changed_seq);

CREATE TABLE results (
    step_id TEXT PRIMARY KEY,
    samples INTEGER NOT NULL,
    newest_ns INTEGER NOT NULL,
    detail TEXT NOT NULL              -- JSON, the API's "result"
) WITHOUT ROWID;

CREATE TABLE looks (
    step_id TEXT PRIMARY KEY,
    look INTEGER NOT NULL,            -- 0: not computed yet
    due_ns INTEGER NOT NULL,
    edges TEXT NOT NULL               -- what it was planned for; a change makes it outdated
) WITHOUT ROWID;
CREATE INDEX looks_due ON looks (look > 0, due_ns);

CREATE TABLE marks (
    mark_id TEXT PRIMARY KEY,
    env TEXT NOT NULL,
    scenario TEXT,
    run_id TEXT,
    server TEXT,
    kind TEXT NOT NULL,
    t_ns INTEGER NOT NULL,
    title TEXT NOT NULL,
    text TEXT
) WITHOUT ROWID;
CREATE INDEX marks_time ON marks (env, t_ns);

CREATE TABLE life (
    run_id TEXT PRIMARY KEY,
    heard_ns INTEGER NOT NULL,        -- last call, by arrival
    alive_ns INTEGER NOT NULL         -- last event, by its own time
) WITHOUT ROWID;

-- One row; taken in the same transaction as the change, so that numbers become visible in their order.
CREATE TABLE sequence (seq INTEGER NOT NULL);
INSERT INTO sequence VALUES (0);

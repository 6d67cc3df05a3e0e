-- Readings of power, one row each; what rarely changes is written once and referred to.
CREATE TABLE series (
    series_id INTEGER PRIMARY KEY,
    env TEXT NOT NULL,
    server TEXT NOT NULL,
    scope TEXT NOT NULL,
    part TEXT NOT NULL,               -- '' for a total
    UNIQUE (env, server, scope, part)
);

CREATE TABLE sources (
    source_id INTEGER PRIMARY KEY,
    window_s REAL, refresh_s REAL, quantum_w REAL, accuracy_pct REAL,
    clock TEXT, protocol TEXT, source TEXT, side TEXT, energy_wrap_j REAL
);

CREATE TABLE readings (
    series_id INTEGER NOT NULL,
    t_ns INTEGER NOT NULL,
    watts REAL,                       -- NULL: the BMC gave no valid reading
    source_id INTEGER NOT NULL,
    avg_w REAL, min_w REAL, max_w REAL,
    energy_counter_j REAL,
    backfill INTEGER NOT NULL,
    PRIMARY KEY (series_id, t_ns)
) WITHOUT ROWID;

-- When a server was heard, in buckets of time: what it takes to know which servers belong to a step.
CREATE TABLE presence (
    env TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    server TEXT NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    PRIMARY KEY (env, bucket, server)
) WITHOUT ROWID;

-- Polls of a BMC at which something was other than at the poll before.
CREATE TABLE bmc_states (
    env TEXT NOT NULL,
    server TEXT NOT NULL,
    t_ns INTEGER NOT NULL,
    up INTEGER NOT NULL,
    host TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (env, server, t_ns)
) WITHOUT ROWID;

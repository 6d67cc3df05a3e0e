-- What else somebody posts: temperatures, voltages, anything with a unit.
CREATE TABLE sensors (
    env TEXT NOT NULL,
    server TEXT NOT NULL,
    sensor TEXT NOT NULL,
    unit TEXT NOT NULL,
    t_ns INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (env, server, sensor, unit, t_ns)
) WITHOUT ROWID;
CREATE INDEX sensors_time ON sensors (t_ns);

-- Lists stay quick in a journal of a million steps, whatever they are filtered by.

-- How many hexadecimal digits a step's length has (in ns), and its end: what overlaps a span is found without
-- reading all that ended since. The reader asks for each length in turn.
CREATE INDEX steps_span ON steps (env, length(printf('%x', end_ns - start_ns)), end_ns) WHERE end_ns IS NOT NULL;
DROP INDEX steps_end;

CREATE INDEX steps_env ON steps (env, start_ns);
CREATE INDEX steps_scenario ON steps (scenario, start_ns);
CREATE INDEX steps_group ON steps (run_group, start_ns) WHERE run_group IS NOT NULL;
CREATE INDEX steps_odd ON steps (state, start_ns) WHERE state IN ('failed', 'aborted', 'lost');

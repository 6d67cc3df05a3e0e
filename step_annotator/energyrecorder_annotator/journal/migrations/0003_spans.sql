-- Steps by how many hexadecimal digits their length has (in ns) and their end: what overlaps a span is found
-- without reading all that ended since. The reader asks for each length in turn.
CREATE INDEX steps_span ON steps (env, length(printf('%x', end_ns - start_ns)), end_ns) WHERE end_ns IS NOT NULL;
DROP INDEX steps_end;

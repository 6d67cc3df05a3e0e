"""Reports for people: one self-contained HTML page, Markdown and text tables, from plain data.

`model` says what a report shows, `wire` makes it from the annotator's answers, `html`, `markdown` and `table`
write it. Nothing here computes joules or needs numpy.
"""

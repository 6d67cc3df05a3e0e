"""Reports for people, from plain data: one self-contained HTML page, Markdown, JUnit, SVG.

`model` says what a report shows, `wire` makes it from the annotator's answers, and a
module for each format writes it. Nothing here computes joules or needs numpy.
"""

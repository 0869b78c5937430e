"""Numbers one can trust: every question of a set through a pipeline, or another system's saved masks, and a report.

`run` asks and scores, batch by batch, and can be killed and started again; `row` is what is kept of one question;
`report` turns rows into figures with intervals, `page` into something to look at; `comparison` pairs two reports and
`study` varies one thing at a time. It knows the rooms below, and no door.
"""

"""The report that people look at: facts of a night, read once, told in sections of words, plots and tables.

`facts` reads, `sections/` are pure functions from facts to sections, `page` makes one HTML file of them that opens
offline, runs no script and prints. What a night lacks is said in its section, never left out silently.
"""

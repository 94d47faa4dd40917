"""Ground floor: the words, shapes and rules that every other part agrees on. Pure; imports nothing of ours.

Belongs here: contracts of tables and events, catalogue and rule models, policy, settings, errors.
Does not: anything that opens a file of data, a socket or a Spark session.
"""

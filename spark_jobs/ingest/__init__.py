"""Ingest: what the sources delivered, day by day, into bronze as delivered and silver in one vocabulary.

    sources      which sources there are, how their folders are laid out and what they mean
    deliveries   which days each source has delivered, and which of them the lake has not seen yet
    given        all of it in one look, with the reference documents
    contents     what the delivered files hold, from footers and headers alone, against the contracts
    corrections  what a delivery changed of days that the lake had already
    bronze       files -> typed rows, each with the reason why it is kept out of silver, if any
    silver       bronze -> interactions, events, items and people
    validity     full exports -> what held from when to when, and what was known at a date
    histories    the tables of customers and aggregates, told on by the exports that are new
    holdings     the latest export of holdings brought up to the as-of by product events
    reference    catalogue, rules and reasons, validated
    quarantine   rejected rows and their reasons

Does not belong here: anything that looks back over more than one day of behaviour (features).
"""

-- The request's body is a stream of Arrow; columns are matched by name.
INSERT INTO user_events
FORMAT ArrowStream

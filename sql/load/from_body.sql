-- The request's body is a stream of Arrow, for a server that cannot see the folder; columns are matched by name.
INSERT INTO {staging:Identifier}
FORMAT ArrowStream

-- An answer is kept as long as what became of it may have to be explained (data_contracts/keeping.py).
ALTER TABLE exposures MODIFY TTL toDate(event_time) + INTERVAL 121 DAY

-- Ends what an earlier, killed load of the same snapshot may still be inserting.
KILL QUERY
WHERE Settings['log_comment'] = {load:String} AND current_database = currentDatabase() SYNC

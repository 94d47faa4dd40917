SELECT count() AS steps FROM migrations
WHERE file = {file:String}

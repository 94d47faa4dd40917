INSERT INTO overlay_writers (writer, lag_seconds)
VALUES ({writer:String}, {lag_seconds:Float32})

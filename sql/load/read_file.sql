SELECT content FROM file({path:String}, 'RawBLOB', 'content String')

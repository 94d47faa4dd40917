SELECT content FROM s3({url:String}, 'RawBLOB', 'content String')

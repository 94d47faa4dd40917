SELECT user_id FROM audience_members
WHERE audience_id = {audience_id:String} AND is_control

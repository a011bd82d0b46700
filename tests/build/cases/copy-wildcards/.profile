.profile

mkdir d/empty; chmod 711 d/sub; chmod 600 d/g; chmod 1777 d/empty; touch -d 2001-02-03T04:05:06Z d/g d/sub d/empty

import atoll as atoll  # first: it keeps out what a service does not need

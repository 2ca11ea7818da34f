"""Parts of a search that no front end owns.

journal/              what survives the driver
quarantine.py         code of the user's that runs on the driver, apart from the driver's own
timings.py            where the time of a search went
file_arguments.py     arguments that name a file to write to
"""

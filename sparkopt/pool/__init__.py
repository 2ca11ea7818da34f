"""Pool of workers: a coordinator and the gangs that it steers.

worker_pool.py    WorkerPool
launches.py       the last launch of each of its gangs
executor_watch.py what Spark says of the tasks and executors of elastic workers
slot_watch.py     slots that Spark has for more workers, in barrier jobs that are added
leaving.py        the way out of workers that were told to leave
study_names.py    names of its studies
pool_arguments.py arguments of a search that are its pool's
patience.py       limits of its patience, from the arguments that users give for them
"""

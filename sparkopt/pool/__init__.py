"""Pool of workers: a coordinator and the gangs that it steers.

worker_pool.py    WorkerPool
launches.py       the last launch of each of its gangs
executor_watch.py what Spark says of the tasks and executors of elastic workers
patience.py       limits of its patience, from the arguments that users give for them
"""

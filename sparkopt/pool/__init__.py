"""Pool of workers: a coordinator and the gangs that it steers.

worker_pool.py    WorkerPool
patience.py       limits of its patience, from the arguments that users give for them
"""

"""Everything that touches Spark; no other room imports pyspark.

session.py     the session and what it tells: slots, default parallelism, the driver's address
classic.py     all that needs a SparkContext; connect.py, what stands for it on Spark Connect
java.py        a Java for machines that have none
parallelism.py how many trials may run at once, and the warnings that go with it
preflight.py   what is refused before anything is launched
references.py  what a function refers to, and which part of an objective cannot be shipped
driver_only.py where an objective uses Spark itself
launcher.py    how a gang becomes a Spark job: barrier.py, as a barrier job; elastic.py, one of one task
elasticity.py  whether a pool is elastic, and how many tasks Spark may ever run for it
task_fates.py  what Spark says of a worker's task: its executor, and why it has ended
gang.py        a job that runs workers: launched, watched, cancelled
own_package.py the driver's sparkopt, packed for executors without it; bootstrap.py, what has them import it

A process has sessions of one kind. A client of Spark Connect cannot ask for slots: it reads Spark's
default parallelism off the plan of a range, without a job. Its driver is the server, so executors are
given the client's own address on the way there. It hears how many tasks of its own job run, which tells
missing slots from executors that cannot get through. Cancelling goes by the session's tags, which on a
classic session are the calling thread's only.
"""

from importlib.util import find_spec

if find_spec("pyspark") is None:
    raise ModuleNotFoundError(
        "sparkopt needs PySpark, and this Python has none: pip install 'sparkopt[spark]', or, if Spark is no"
        " package of Python's, put SPARK_HOME/python and the py4j archive in its lib on the PYTHONPATH",
        name="pyspark",
    )

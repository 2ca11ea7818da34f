"""Everything that touches Spark; no other room imports pyspark.

session.py     the session and what it tells: slots, default parallelism, the driver's address
java.py        a Java for machines that have none
parallelism.py how many trials may run at once, and the warnings that go with it
preflight.py   what is refused before anything is launched
references.py  what a function refers to, and which part of an objective cannot be shipped
driver_only.py where an objective uses Spark itself
gang.py        a barrier job that runs workers: launched, watched, cancelled
"""

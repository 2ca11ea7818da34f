"""What runs on an executor.

    Spark's Python worker                                       one of many, reused by Spark for other jobs
      │ forks, waits
      ▼
    process A   agent.py         holds at most one attempt; sees its outcome home
      │         link.py          the stream to the coordinator: heartbeats, cuts, coming back
      │         supervisor.py    starts, feeds and kills evaluators
      │         evaluator_connection.py  A's end of the socket to one; what comes is checked by answers.py
      │         output.py        what evaluators write, line by line to the executor's log
      │ forks before it imports grpc
      ▼
    nursery     nursery.py       forks evaluators and buries them; free of threads and of grpc
      │ forks
      ▼
    process B   evaluator.py     alone unpickles and runs the objective
                evaluator_socket.py      B's end of the socket, for its own process alone
                children.py      the end of a child that comes out of the objective
                surroundings.py  what a trial must not hand on to the next, with originals.py,
                                 interpreter.py and process_state.py
                streams.py       standard output and error: a pipe to A

    task.py       the way in, inside the barrier task
    outbox.py     reports and outcomes, kept until acknowledged
    broadcasts.py what stands for a broadcast variable
    reports.py    what an objective says in the middle of a trial
    outside.py    objectives whose results are told outside of Python, as JSON
    thread_pools.py how many threads its libraries compute with
    spec.py       what a worker is told at its birth
    frames.py     how A and B talk over their socket
    processes.py  what forked processes owe each other
    descriptors.py file descriptors that a forked process keeps, and those that it lets go of

Who ends whom: A notices the end of the barrier task by a pipe, the nursery that of A by its socket, and
the kernel kills B if the nursery dies. So nothing outlives the task, however it ends. Whatever B does
to itself costs B and its attempt, never A.

This room imports neither Spark nor hyperopt nor MLflow, and grpc only in A.
"""
